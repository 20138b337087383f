// SPDX-License-Identifier: BSD-3-Clause
#include "core/domain.h"

namespace iovad::core {

CacheView Domain::view_of(const LcoreCache &cache)
{
	const auto lcore = static_cast<unsigned>(cache.owner() & ((1u << LcoreCache::kLcoreBits) - 1)) - 1;
	CacheView v = {process_of(cache), lcore, cache.hits(), cache.depot_hits(), {}};
	cache.for_each([&](const Magazine &m) { v.cached[m.bin().index()] += m.count(); });
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
