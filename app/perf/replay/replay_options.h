// SPDX-License-Identifier: BSD-3-Clause
// The arguments of "replay".
#pragma once

#include <string>

namespace iovad::perf {

struct ReplayOptions {
	std::string file;
	std::string json;     // empty: none
	std::string svg;      // empty: none
	unsigned lcores = 0;  // 0: one per cpu of the trace, as far as EAL has them
	unsigned repeat = 1;
	bool cached = true;  // false: every request goes to the tree
	bool help = false;
};

extern const char *const kReplayUsage;

// argv[0] is "replay"; argv is reordered. Throws UsageError.
ReplayOptions parse_replay_options(int argc, char **argv);

}  // namespace iovad::perf
