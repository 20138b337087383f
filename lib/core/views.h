// SPDX-License-Identifier: BSD-3-Clause
// What telemetry sees of a domain: plain structs, each consistent in itself while lcores go
// on, but not one with another.
#pragma once

#include "core/process.h"
#include "core/size_class.h"

namespace iovad::core {

inline constexpr unsigned kNoLcore = ~0u;

struct CacheView {
	ProcessId process;  // that of Domain's constructor
	unsigned lcore;  // kNoLcore: the shared cache, of all processes
	uint64_t hits, depot_hits;
	uint32_t cached[kBins];  // addresses, by Bin::index()
};

// Shares of a part of the domain, 0 to 1. What caches hold is live.
struct Occupancy {
	float live, reserved;
};

}  // namespace iovad::core
