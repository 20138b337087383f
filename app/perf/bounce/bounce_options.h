// SPDX-License-Identifier: BSD-3-Clause
// The arguments of "bounce".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace iovad::perf {

struct BounceOptions {
	bool vfio = false;    // or the software IOMMU
	unsigned lcores = 0;  // 0: all that EAL has
	unsigned rounds = 15; // of each way and size
	std::vector<uint64_t> sizes = {64, 256, 1500, 2048, 4096, 9000, 16384, 65536, 262144, 1048576};  // ascending
	std::string json, svg;  // empty: none
	bool help = false;
};

extern const char *const kBounceUsage;

// argv[0] is "bounce"; argv is reordered. Throws UsageError.
BounceOptions parse_bounce_options(int argc, char **argv);

}  // namespace iovad::perf
