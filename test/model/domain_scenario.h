// SPDX-License-Identifier: BSD-3-Clause
// A domain of a few granules. Whoever has an address writes, plainly, into the memory behind it: so an address that
// two have, or that comes without what its last owner did, is a race.
#pragma once

#include <gtest/gtest.h>

#include "core/domain.h"
#include "explored.h"

namespace iovad::model {

class DomainScenario : public Scenario {
public:
	static constexpr uint64_t kGranule = 4096;
	static constexpr unsigned kMost = 64;

	// Magazines hold two addresses.
	explicit DomainScenario(unsigned granules)
		: granules_(granules), state_(core::DomainState::format(memory_for(granules), config(granules))), domain_(state_, 1)
	{
	}
	void end() override
	{
		unsigned held = 0;
		for (unsigned i = 0; i < granules_; ++i)
			held += holder_[i] != 0;
		check(domain_.verify(nullptr), "the domain is not sound");
		check(domain_.stats().live_ranges == held, "an address is lost");
	}

protected:
	bool take(unsigned lcore, uint64_t &iova)
	{
		if (domain_.alloc(lcore, kGranule, ~uint64_t{0}, iova) != core::Status::ok)
			return false;
		unsigned &holder = holder_of(iova);
		check(holder == 0, "an address has two owners");
		holder = lcore + 1;
		return true;
	}
	uint64_t taken(unsigned lcore)
	{
		uint64_t iova = 0;
		check(take(lcore, iova), "refused");
		return iova;
	}
	void give(unsigned lcore, uint64_t iova)
	{
		holder_of(iova) = 0;
		check(domain_.free(lcore, iova, kGranule) == core::Status::ok, "an address cannot be given back");
	}
	core::LcoreCache &cache(unsigned lcore) { return *domain_.cache_of(lcore); }
	iovad_hot_pair &pair(unsigned lcore) { return cache(lcore).pair(core::Bin::numbered(IOVAD_HOT_COMMON)); }

	const unsigned granules_;
	core::DomainState *state_;
	core::Domain domain_;

private:
	static core::DomainConfig config(unsigned granules)
	{
		return {core::Geometry::of(kGranule, kGranule, (granules + 1) * kGranule - 1), kMost, 3, 8, 100, true};
	}
	static void *memory_for(unsigned granules)
	{
		return Machine::get().allocate(core::DomainState::bytes(config(granules)), 64);
	}
	unsigned &holder_of(uint64_t iova) { return holder_[iova / kGranule - 1]; }

	unsigned holder_[kMost] = {};
};

}  // namespace iovad::model
