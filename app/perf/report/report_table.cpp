// SPDX-License-Identifier: BSD-3-Clause
#include <cstring>

#include "report/report.h"
#include "report/table.h"
#include "text.h"

namespace iovad::perf {
namespace {

std::string rate_range(const Report &report, const Spread &spread)
{
	if (report.repeat == 1)
		return "";
	return format(", median of %u runs, %s to %s", report.repeat, rate(spread.min).c_str(),
		      rate(spread.max).c_str());
}

void trace_section(FILE *out, const Report &report)
{
	const PlanCounts &plan = report.plan;
	fprintf(out, "\nTrace\n");
	row(out, "events", plan.maps + plan.unmaps,
	    format("%s maps, %s unmaps; %.2f s on %s cpus", grouped(plan.maps).c_str(),
		   grouped(plan.unmaps).c_str(), report.trace_seconds, grouped(report.cpus).c_str()));
	row(out, "allocs", plan.allocs, format("%s made of several maps", grouped(plan.multi).c_str()));
	row(out, "frees", plan.frees,
	    format("%s on another cpu than the alloc", grouped(plan.cross_cpu).c_str()));
	row(out, "unmatched", plan.unmatched, "unmaps of what was mapped before the trace");
	row(out, "partial", plan.partial, "unmaps of part of what is mapped");
	row(out, "remapped", plan.remapped, "maps over a live address: more than one domain");
	row(out, "live at end", plan.live_at_end, "never unmapped in the trace");
	row(out, "other lines", report.skipped);
	if (report.lost != 0)
		row(out, "LOST", report.lost, "marks of lost events: the trace has holes");
}

void verdict_section(FILE *out, const Report &report)
{
	fprintf(out, "\nVerdict\n");
	row(out, "failed", report.failed(),
	    report.failed() == 0
		    ? "calls that returned an error"
		    : format("%s allocs, %s frees; first error: %s",
			     grouped(report.failed_allocs).c_str(),
			     grouped(report.failed_frees).c_str(), strerror(-report.first_error)));
	row(out, "violations", report.violations(),
	    format("%s overlaps, %s out of range, %s misaligned, %s leaks, %s accounting",
		   grouped(report.found[size_t(FindingKind::overlap)]).c_str(),
		   grouped(report.found[size_t(FindingKind::out_of_range)]).c_str(),
		   grouped(report.found[size_t(FindingKind::misaligned)]).c_str(),
		   grouped(report.leaks).c_str(), grouped(report.accounting).c_str()));
	row(out, "verify", report.verify_failures == 0 ? "ok" : "FAILED");
}

void speed_section(FILE *out, const Report &report)
{
	fprintf(out, "\nThroughput\n");
	row(out, "events", rate(report.events_per_second.median),
	    "wall time, checks and waiting included" + rate_range(report, report.events_per_second));
	row(out, "calls", rate(report.calls_per_second.median),
	    "time in the library, clock included, lcores summed" +
		    rate_range(report, report.calls_per_second));
	row(out, "waiting", percent(report.waiting_share),
	    report.paced ? "of the lcores' time, for each other and for the trace's" : "of the lcores' time, for each other");

	fprintf(out, "\nLatency in ns; each includes one reading of the clock, %.1f ns\n",
		report.clock_ns);
	fprintf(out, "  %-6s %11s %9s %9s %9s %9s %9s %9s %11s\n", "call", "calls", "mean", "p50",
		"p90", "p99", "p99.9", "p99.99", "max");
	const auto line = [out](const char *name, const CallTimes &times) {
		fprintf(out, "  %-6s %11s %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f %11.1f\n", name,
			grouped(times.calls).c_str(), times.mean, times.p50, times.p90, times.p99,
			times.p999, times.p9999, times.max);
	};
	line(report.backend ? "map" : "alloc", report.alloc);
	line(report.backend ? "unmap" : "free", report.free);

	fprintf(out, "\nServed by\n");
	row(out, "lcore cache", percent(report.cache_hit_rate), "of the allocations");
	row(out, "depot", percent(report.depot_hit_rate));
	row(out, "tree", percent(report.tree_rate),
	    format("%s nodes, %s", grouped(report.domain.tree_nodes).c_str(),
		   human_bytes(double(report.domain.tree_bytes)).c_str()));
}

void space_section(FILE *out, const Report &report)
{
	const Timeline &space = report.space;
	const auto extent = [](const Extent &e) {
		return format("footprint %s, %.1f %% of it holes",
			      human_bytes(double(e.footprint_bytes)).c_str(), 100 * e.fragmentation());
	};
	fprintf(out, "\nAddress space%s (footprint: from the lowest live address to the highest)\n",
		report.repeat == 1 ? "" : " in the last run");
	row(out, "peak live", human_bytes(double(space.at_peak.live_bytes)), extent(space.at_peak));
	row(out, "final live", human_bytes(double(space.at_end.live_bytes)), extent(space.at_end));
	row(out, "peak footprint", human_bytes(double(space.peak_footprint_bytes)));
	row(out, "touched", human_bytes(double(space.touched_bytes)),
	    format("handed out at least once, in [0x%llx, 0x%llx)",
		   static_cast<unsigned long long>(space.low),
		   static_cast<unsigned long long>(space.high)));
	row(out, "free space", human_bytes(double(report.domain.free_bytes)),
	    format("in the tree at the end; %.2f %% of it outside the largest gap",
		   100 * report.tree_fragmentation()));
}

}  // namespace

void write_table(FILE *out, const Report &report)
{
	fprintf(out, "replay of %s: engine %s, lcores %s, %u run%s%s\n", base_name(report.file).c_str(),
		report.engine.c_str(), listed(report.lcores).c_str(), report.repeat,
		report.repeat == 1 ? "" : "s", report.paced ? ", paced" : "");
	trace_section(out, report);
	verdict_section(out, report);
	speed_section(out, report);
	if (report.backend) {
		fprintf(out, "\nBackend\n");
		write_rows(out, *report.backend);
	}
	space_section(out, report);
}

}  // namespace iovad::perf
