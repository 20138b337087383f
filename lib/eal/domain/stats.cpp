// SPDX-License-Identifier: BSD-3-Clause
#include "eal/domain/stats.h"

#include "core/clock.h"

namespace iovad::eal {

using core::Geometry;
using core::MappingTable;
using core::RetireQueues;

namespace {

uint64_t relaxed(const std::atomic<uint64_t> &counter) { return counter.load(std::memory_order_relaxed); }

void add_mapped(const MappingTable::Counters &counters, iovad_domain_stats &out)
{
	out.backend_maps = relaxed(counters.maps);
	out.backend_unmaps = relaxed(counters.unmaps);
	out.backend_errors = relaxed(counters.errors);
	out.quarantined_bytes = relaxed(counters.quarantined_bytes);
	out.quarantined_ranges = relaxed(counters.quarantined_ranges);
	out.quarantine_retries = relaxed(counters.retries);
	out.unmapped_ranges = relaxed(counters.unmapped);
	out.unmapped_runs = relaxed(counters.unmapped_runs);
}

void add_deferred(RetireQueues &queues, const Geometry &g, iovad_domain_stats &out)
{
	const RetireQueues::Counters &counters = queues.counters;
	const RetireQueues::Deferred deferred = queues.deferred();
	const uint64_t now = core::now_ns();
	out.deferred_ranges = deferred.entries;
	out.deferred_bytes = g.bytes(deferred.granules);
	out.deferred_oldest_us = deferred.entries ? (now - queues.oldest(now)) / core::kMicrosecond : 0;
	out.deferred_peak_bytes = g.bytes(relaxed(counters.peak_granules));
	out.deferred_peak_us = relaxed(counters.peak_age) / core::kMicrosecond;
	out.deferred_p50_us = queues.age_us(500);
	out.deferred_p99_us = queues.age_us(990);
	out.flushes = relaxed(counters.flushes);
	out.helps = relaxed(counters.helps);
	out.bad_unmaps = relaxed(counters.bad_unmaps);
}

}  // namespace

iovad_domain_stats read_stats(const iovad_domain &d)
{
	const core::DomainStats s = d.core.stats();
	const Geometry &g = d.core.geometry();
	iovad_domain_stats out = {};
	out.live_ranges = s.live_ranges;
	out.live_bytes = g.bytes(s.live_granules);
	out.cached_ranges = s.cached_ranges;
	out.cached_bytes = g.bytes(s.cached_granules);
	out.reserved_bytes = g.bytes(s.reserved_granules);
	out.free_bytes = g.bytes(s.free_granules);
	out.largest_gap_bytes = g.bytes(s.largest_gap);
	out.tree_nodes = s.tree_nodes;
	out.tree_bytes = s.tree_nodes * core::kNodeBytes;
	out.cache_hits = s.cache_hits;
	out.depot_hits = s.depot_hits;
	out.tree_allocs = s.tree_allocs;
	out.tree_frees = s.tree_frees;
	out.fail_nospace = s.fail_nospace;
	out.fail_again = s.fail_again;
	out.reclaims = s.reclaims;
	out.bad_frees = s.bad_frees;
	out.grows = s.grows;
	out.deferred_frees = s.deferred_frees;
	out.trims = s.trims;
	out.resizes = s.resizes;
	if (d.mappings)
		add_mapped(d.mappings->counters, out);
	if (d.shared->retired)
		add_deferred(*d.shared->retired, g, out);
	return out;
}

}  // namespace iovad::eal
