// SPDX-License-Identifier: BSD-3-Clause
// The arguments of "churn".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/backend_use.h"

namespace iovad::perf {

// strict, lazy: each buffer is mapped and unmapped so. region: all memory stays mapped, and buffers
// are only looked up.
enum class Mode { strict, lazy, region };

const char *name_of(Mode mode);

struct ChurnOptions {
	bool vfio = false;  // or the software IOMMU
	std::vector<Mode> modes = {Mode::strict, Mode::lazy, Mode::region};
	unsigned lcores = 0;  // 0: all that EAL has
	unsigned seconds = 2; // of each mode; 0: as long as ops take
	unsigned ops = 0;     // of each lcore
	uint64_t size = 2048; // of a buffer
	unsigned depth = 256; // buffers that an lcore has mapped at once
	LazyBounds bounds{.max_bytes = uint64_t(64) << 20};  // each lcore has as much memory, and more
	std::string json;  // empty: none
	bool help = false;
};

extern const char *const kChurnUsage;

// argv[0] is "churn"; argv is reordered. Throws UsageError.
ChurnOptions parse_churn_options(int argc, char **argv);

}  // namespace iovad::perf
