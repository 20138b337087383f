// SPDX-License-Identifier: BSD-3-Clause
// The arguments of "soak".
#pragma once

#include <cstdint>
#include <string>

namespace iovad::perf {

struct SoakOptions {
	double seconds = 60;         // 0: as long as ops take
	unsigned ops = 0;            // of each worker; 0: as long as seconds last
	unsigned threads = 2;        // beside EAL's lcores; every second one is registered with EAL
	int visitors = -1;           // secondary processes at once; -1: 2 where EAL's memory can be shared
	unsigned kill_every_ms = 200;  // 0: none is killed
	unsigned fault_every = 1000;   // calls of the IOMMU; 0: none fails
	double interval = 5;         // seconds from one check to the next
	unsigned seed = 1;
	std::string json;            // empty: none
	bool help = false;
};

extern const char *const kSoakUsage;

// argv[0] is "soak"; argv is reordered. Throws UsageError.
SoakOptions parse_soak_options(int argc, char **argv);

}  // namespace iovad::perf
