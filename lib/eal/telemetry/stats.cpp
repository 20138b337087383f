// SPDX-License-Identifier: BSD-3-Clause
// /iovad/stats: every counter of struct iovad_domain_stats under its name, and two shares in
// thousandths, since telemetry has no fractions.
#include <iterator>

#include "eal/domain/stats.h"
#include "eal/telemetry/telemetry.h"

namespace iovad::eal {

namespace {

struct Counter {
	const char *name;
	uint64_t iovad_domain_stats::*value;
};

#define COUNTER(name) Counter{#name, &iovad_domain_stats::name}
constexpr Counter kCounters[] = {
	COUNTER(live_ranges), COUNTER(live_bytes), COUNTER(cached_ranges), COUNTER(cached_bytes),
	COUNTER(deferred_ranges), COUNTER(deferred_bytes), COUNTER(deferred_oldest_us),
	COUNTER(reserved_bytes), COUNTER(quarantined_bytes), COUNTER(free_bytes), COUNTER(largest_gap_bytes),
	COUNTER(tree_nodes), COUNTER(tree_bytes), COUNTER(cache_hits), COUNTER(depot_hits),
	COUNTER(tree_allocs), COUNTER(tree_frees), COUNTER(fail_nospace), COUNTER(fail_again),
	COUNTER(backend_maps), COUNTER(backend_unmaps), COUNTER(backend_errors), COUNTER(flushes),
	COUNTER(reclaims), COUNTER(bad_frees), COUNTER(unmapped_ranges), COUNTER(deferred_peak_bytes),
	COUNTER(deferred_peak_us), COUNTER(deferred_p50_us), COUNTER(deferred_p99_us),
	COUNTER(helps), COUNTER(bad_unmaps), COUNTER(quarantined_ranges), COUNTER(quarantine_retries), COUNTER(grows), COUNTER(deferred_frees), COUNTER(trims), COUNTER(resizes),
	COUNTER(unmapped_runs),
};
#undef COUNTER
static_assert(std::size(kCounters) * sizeof(uint64_t) == sizeof(iovad_domain_stats), "a counter is missing");

// Rounded; of nothing it is 0. In floating point, since a domain may have 2^64 bytes.
uint64_t permille(uint64_t part, uint64_t all)
{
	return all == 0 ? 0 : static_cast<uint64_t>(1000.0 * static_cast<double>(part) / static_cast<double>(all) + 0.5);
}

}  // namespace

void tell_stats(iovad_domain &d, Answer &answer)
{
	const iovad_domain_stats s = read_stats(d);
	for (const Counter &counter : kCounters)
		answer.number(counter.name, s.*counter.value);
	answer.number("fragmentation_permille", permille(s.free_bytes - s.largest_gap_bytes, s.free_bytes));
	answer.number("hit_permille", permille(s.cache_hits, s.cache_hits + s.depot_hits + s.tree_allocs));
}

}  // namespace iovad::eal
