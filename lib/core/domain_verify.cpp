// SPDX-License-Identifier: BSD-3-Clause
// What caches hold, looked at while nobody changes it.
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <vector>

#include "core/domain_revoking.h"

namespace iovad::core {

bool Domain::is_cached(uint64_t iova)
{
	bool found = false;
	const auto look = [&](const Magazine &m, unsigned held) {
		found |= std::find(m.address, m.address + held, iova) != m.address + held;
	};
	LockGuard guard(state_->reclaim_lock);
	with_revoked(Patience::milliseconds, [](const LcoreCache &) { return true; },
		     [&](LcoreCache &cache, bool quiet) {
			     if (quiet)
				     cache.for_each(look);
		     },
		     [&] { state_->depot.for_each_full(look); });
	return found;
}

// Beyond the tree: every cached address is a live range of its class in the tree, no
// address is cached twice, and what caches may hold stays within their share.
bool Domain::verify(FILE *why)
{
	struct Cached {
		Pfn start;
		uint64_t granules;
	};
	std::vector<Cached> cached;
	bool good = true;
	const auto fail = [&](const char *what, Pfn pfn) {
		good = false;
		if (why)
			std::fprintf(why, "caches: %s at %" PRIx64 "\n", what, geometry().bytes(pfn));
	};
	const auto collect = [&](const Magazine &m, unsigned held) {
		if (held > m.capacity)
			fail("magazine over its capacity", 0);
		for (unsigned i = 0; i < held; ++i) {
			cached.push_back({geometry().pfn(m.address[i]), m.bin().granules()});
			if (geometry().zone_of(m.address[i]) != m.bin().zone())
				fail("address in the wrong zone", geometry().pfn(m.address[i]));
		}
	};
	const auto check_tree = [&] {
		state_->depot.for_each_full(collect);
		const AddressSpace::Guard space(state_->space);
		good &= state_->space.verify_locked(why);
		for (const Cached &c : cached) {
			if (state_->space.find_locked(c.start) != Extent{c.start, c.start + c.granules, kBlock})
				fail("cached address is not a block in the tree", c.start);
		}
	};
	{
		const ReclaimGuard guard(*this);
		with_revoked(Patience::seconds, [](const LcoreCache &) { return true; },
			     [&](LcoreCache &cache, bool quiet) {
				     if (quiet)
					     cache.for_each(collect);
				     else if (!is_dead(cache))
					     fail("an lcore stays inside its cache", 0);
			     },
			     check_tree);
	}
	std::sort(cached.begin(), cached.end(),
		  [](const Cached &a, const Cached &b) { return a.start < b.start; });
	for (size_t i = 1; i < cached.size(); ++i) {
		if (cached[i].start == cached[i - 1].start)
			fail("address cached twice", cached[i].start);
	}
	for (unsigned zone = 0; zone < kZones; ++zone) {
		const Depot::Charge charge = state_->depot.charge(zone);
		if (charge.used > charge.most)
			fail("caches exceed their share of zone", zone);
	}
	return good;
}

}  // namespace iovad::core
