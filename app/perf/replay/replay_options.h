// SPDX-License-Identifier: BSD-3-Clause
// The arguments of "replay".
#pragma once

#include <string>

namespace iovad::perf {

// cached, tree: addresses alone, through the caches of the lcores or all from the range tree. strict,
// lazy: memory mapped in a software IOMMU, and unmapped so.
enum class Engine { cached, tree, strict, lazy };

inline bool maps_memory(Engine engine) { return engine == Engine::strict || engine == Engine::lazy; }
const char *name_of(Engine engine);

struct ReplayOptions {
	std::string file;
	std::string json;     // empty: none
	std::string svg;      // empty: none
	unsigned lcores = 0;  // 0: one per cpu of the trace, as far as EAL has them
	unsigned repeat = 1;
	Engine engine = Engine::cached;
	bool pace = false;  // as fast as the trace, and not as fast as can be
	bool help = false;
};

extern const char *const kReplayUsage;

// argv[0] is "replay"; argv is reordered. Throws UsageError.
ReplayOptions parse_replay_options(int argc, char **argv);

}  // namespace iovad::perf
