// SPDX-License-Identifier: BSD-3-Clause
// The keys are documented in README.md.
#include "report/json_object.h"
#include "report/report.h"

namespace iovad::perf {
namespace {

void add_trace(JsonObject &json, const Report &report)
{
	json.add("lines", report.lines);
	json.add("skipped", report.skipped);
	json.add("lost", report.lost);
	json.add("cpus", report.cpus);
	json.add("trace_seconds", report.trace_seconds);
	json.add("events", report.plan.maps + report.plan.unmaps);
	json.add("maps", report.plan.maps);
	json.add("unmaps", report.plan.unmaps);
	json.add("allocs", report.plan.allocs);
	json.add("frees", report.plan.frees);
	json.add("multi", report.plan.multi);
	json.add("partial", report.plan.partial);
	json.add("unmatched", report.plan.unmatched);
	json.add("remapped", report.plan.remapped);
	json.add("cross_cpu", report.plan.cross_cpu);
	json.add("live_at_end", report.plan.live_at_end);
}

void add_verdict(JsonObject &json, const Report &report)
{
	json.add("good", report.good());
	json.add("failed", report.failed());
	json.add("failed_allocs", report.failed_allocs);
	json.add("failed_frees", report.failed_frees);
	json.add("violations", report.violations());
	json.add("overlaps", report.found[size_t(FindingKind::overlap)]);
	json.add("out_of_range", report.found[size_t(FindingKind::out_of_range)]);
	json.add("misaligned", report.found[size_t(FindingKind::misaligned)]);
	json.add("leaks", report.leaks);
	json.add("accounting", report.accounting);
	json.add("verify_failures", report.verify_failures);
}

void add_space(JsonObject &json, const Report &report)
{
	const Timeline &space = report.space;
	json.add("peak_live_bytes", space.at_peak.live_bytes);
	json.add("peak_live_footprint_bytes", space.at_peak.footprint_bytes);
	json.add("peak_live_fragmentation", space.at_peak.fragmentation());
	json.add("peak_footprint_bytes", space.peak_footprint_bytes);
	json.add("final_live_bytes", space.at_end.live_bytes);
	json.add("final_footprint_bytes", space.at_end.footprint_bytes);
	json.add("final_fragmentation", space.at_end.fragmentation());
	json.add("touched_bytes", space.touched_bytes);
	json.add("lowest_iova", space.low);
	json.add("highest_iova", space.high == 0 ? 0 : space.high - 1);
	json.add("tree_fragmentation", report.tree_fragmentation());
}

void add_domain(JsonObject &json, const iovad_domain_stats &stats)
{
	JsonObject domain = json.object("domain");
	domain.add("live_ranges", stats.live_ranges);
	domain.add("live_bytes", stats.live_bytes);
	domain.add("cached_ranges", stats.cached_ranges);
	domain.add("cached_bytes", stats.cached_bytes);
	domain.add("free_bytes", stats.free_bytes);
	domain.add("largest_gap_bytes", stats.largest_gap_bytes);
	domain.add("tree_nodes", stats.tree_nodes);
	domain.add("tree_bytes", stats.tree_bytes);
	domain.add("cache_hits", stats.cache_hits);
	domain.add("depot_hits", stats.depot_hits);
	domain.add("tree_allocs", stats.tree_allocs);
	domain.add("tree_frees", stats.tree_frees);
	domain.add("fail_nospace", stats.fail_nospace);
	domain.add("fail_again", stats.fail_again);
	domain.add("reclaims", stats.reclaims);
	domain.add("bad_frees", stats.bad_frees);
}

}  // namespace

void write_json(FILE *out, const Report &report)
{
	{
		JsonObject json(out, 1);
		json.add("command", std::string("replay"));
		json.add("file", report.file);
		json.add("engine", report.engine);
		json.add("lcores", report.lcores);
		json.add("repeat", uint64_t(report.repeat));
		json.add("paced", report.paced);
		add_trace(json, report);
		add_verdict(json, report);
		json.add("seconds", report.seconds);
		json.add("events_per_s", report.events_per_second);
		json.add("calls_per_s", report.calls_per_second);
		json.add("waiting_share", report.waiting_share);
		json.add("clock_ns", report.clock_ns);
		json.add("clock_subtracted", false);
		json.add("ns_per_alloc", report.alloc.mean);
		json.add("ns_per_free", report.free.mean);
		json.add("alloc_ns", report.alloc);
		json.add("free_ns", report.free);
		json.add("cache_hit_rate", report.cache_hit_rate);
		json.add("depot_hit_rate", report.depot_hit_rate);
		json.add("tree_rate", report.tree_rate);
		add_space(json, report);
		add_domain(json, report.domain);
		if (report.backend) {
			JsonObject backend = json.object("backend");
			add_members(backend, *report.backend);
		}
	}
	fputc('\n', out);
}

}  // namespace iovad::perf
