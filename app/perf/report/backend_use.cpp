// SPDX-License-Identifier: BSD-3-Clause
#include "report/backend_use.h"

#include "report/table.h"
#include "text.h"

namespace iovad::perf {

unsigned BackendUse::broken(uint64_t mapped) const
{
	return (stats.unmapped_ranges != mapped) + (stats.deferred_ranges != 0) + (stats.bad_unmaps != 0) +
	       (stats.quarantined_ranges != 0) + (stats.backend_errors != 0) +
	       (stats.deferred_peak_bytes > bounds.max_bytes);
}

void write_rows(FILE *out, const BackendUse &use)
{
	const iovad_domain_stats &stats = use.stats;
	row(out, "maps", stats.backend_maps, "calls");
	row(out, "unmaps", stats.backend_unmaps,
	    format("calls for %s ranges: %s for each", grouped(stats.unmapped_ranges).c_str(),
		   one_in(use.unmaps_per_range()).c_str()));
	row(out, "runs", stats.unmapped_runs,
	    format("of neighbours, a system call each with VFIO: %s for each", one_in(use.runs_per_range()).c_str()));
	if (!use.lazy)
		return;
	row(out, "peak deferred", human_bytes(double(stats.deferred_peak_bytes)),
	    "of at most " + human_bytes(double(use.bounds.max_bytes)));
	row(out, "peak age", format("%s us", grouped(stats.deferred_peak_us).c_str()),
	    format("at most, of %s us", grouped(use.bounds.max_age_us).c_str()));
	row(out, "helps", stats.helps, "times an lcore had to unmap what was to be deferred");
}

void add_members(JsonObject &json, const BackendUse &use)
{
	json.add("backend_maps", use.stats.backend_maps);
	json.add("backend_unmaps", use.stats.backend_unmaps);
	json.add("unmapped_ranges", use.stats.unmapped_ranges);
	json.add("unmaps_per_range", use.unmaps_per_range());
	json.add("unmapped_runs", use.stats.unmapped_runs);
	json.add("runs_per_range", use.runs_per_range());
	json.add("deferred_peak_bytes", use.stats.deferred_peak_bytes);
	json.add("deferred_peak_us", use.stats.deferred_peak_us);
	json.add("deferred_p50_us", use.stats.deferred_p50_us);
	json.add("deferred_p99_us", use.stats.deferred_p99_us);
	json.add("max_bytes", use.bounds.max_bytes);
	json.add("max_age_us", use.bounds.max_age_us);
	json.add("flushes", use.stats.flushes);
	json.add("helps", use.stats.helps);
}

}  // namespace iovad::perf
