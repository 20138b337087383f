// SPDX-License-Identifier: BSD-3-Clause
// What is told of a domain, which goes on meanwhile.
#include <algorithm>

#include "core/domain.h"

namespace iovad::core {

DomainStats Domain::stats() const
{
	const AddressSpace::Totals t = state_->space.totals();
	DomainStats s = {};
	const auto add = [&](const Magazine &m, unsigned held) {
		s.cached_ranges += held;
		s.cached_granules += held * m.bin().granules();
	};
	for_each_cache([&](const LcoreCache &cache) {
		s.cache_hits += cache.hits();
		s.depot_hits += cache.depot_hits();
		cache.for_each(add);
	});
	state_->depot.for_each_full(add);
	// While lcores move addresses a sum may be off by those in flight.
	s.live_ranges = t.live_ranges - std::min(t.live_ranges, s.cached_ranges);
	s.live_granules = t.live_granules - std::min(t.live_granules, s.cached_granules);
	s.reserved_granules = t.reserved_granules;
	s.free_granules = t.free_granules;
	s.largest_gap = t.largest_gap;
	s.tree_nodes = t.nodes;
	s.tree_allocs = t.allocs;
	s.tree_frees = t.frees;
	s.bad_frees = t.bad_frees;
	s.leaves_visited = t.leaves_visited;
	s.searches = t.searches;
	s.grows = t.grows;
	s.deferred_frees = t.deferred_frees;
	s.fail_nospace = state_->fail_nospace.load(std::memory_order_relaxed);
	s.fail_again = state_->fail_again.load(std::memory_order_relaxed);
	s.reclaims = state_->reclaims.load(std::memory_order_relaxed);
	s.trims = state_->trims.load(std::memory_order_relaxed);
	s.resizes = state_->resizes.load(std::memory_order_relaxed);
	return s;
}

CacheView Domain::view_of(const LcoreCache &cache)
{
	const auto lcore = static_cast<unsigned>(cache.owner() & ((1u << LcoreCache::kLcoreBits) - 1)) - 1;
	CacheView v = {process_of(cache), lcore, cache.hits(), cache.depot_hits(), {}};
	cache.for_each([&](const Magazine &m, unsigned held) { v.cached[m.bin().index()] += held; });
	return v;
}

// The lock is held for a run of extents at a time; what changes meanwhile, changes.
void Domain::occupancy(Occupancy *slices, unsigned n) const
{
	const uint64_t total = geometry().end - geometry().first;
	Extent run[AddressSpace::kRun];
	unsigned next = 0, count = 0;
	Pfn pfn = geometry().first;
	for (unsigned slice = 0; slice < n; ++slice) {
		const uint64_t before = total / n * (slice + 1) + total % n * (slice + 1) / n;
		const Pfn begin = pfn, end = geometry().first + before;
		uint64_t live = 0, reserved = 0;
		while (pfn < end) {
			if (next == count) {
				count = state_->space.find_run(pfn, run, AddressSpace::kRun);
				next = 0;
			}
			const Extent &e = run[next];
			const Pfn to = std::min(e.end, end);
			live += is_live(e.value) ? to - pfn : 0;
			reserved += e.value == kReserved ? to - pfn : 0;
			next += to == e.end;
			pfn = to;
		}
		const auto size = static_cast<float>(std::max<uint64_t>(end - begin, 1));
		slices[slice] = {static_cast<float>(live) / size, static_cast<float>(reserved) / size};
	}
}

}  // namespace iovad::core
