// SPDX-License-Identifier: BSD-3-Clause
// What the core of a domain leaves to a control lcore: more nodes before the tree runs out of
// them, and taking away what the depot does not need. Bounded slices, one thread at a time.
#pragma once

#include <cstdint>

#include "core/domain.h"
#include "eal/domain/log.h"
#include "eal/domain/memory.h"

namespace iovad::eal {

class CoreUpkeep {
public:
	static constexpr uint64_t kPeriodNs = 100'000'000;
	static constexpr unsigned kMostMagazines = 8;  // in a slice: some 1000 addresses

	// How many times it gave the tree memory.
	unsigned add_nodes(core::Domain &core, DomainMemory &memory, DomainLog &log, uint64_t now_ns);
	// How many magazines it took away.
	unsigned trim(core::Domain &core, uint64_t now_ns);
	// What processes that died held in caches and in hand; how many caches. May throw bad_alloc.
	unsigned bury(core::Domain &core, DomainLog &log, uint64_t now_ns);

private:
	uint64_t no_nodes_before_ns_ = 0;
	uint64_t period_end_ns_ = 0, look_again_ns_ = 0;
	bool trimming_ = false;
};

}  // namespace iovad::eal
