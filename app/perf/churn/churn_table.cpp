// SPDX-License-Identifier: BSD-3-Clause
// The modes side by side: a column for each.
#include <cstring>
#include <functional>

#include "churn/churn_report.h"
#include "report/table.h"
#include "text.h"

namespace iovad::perf {
namespace {

using Cell = std::function<std::string(const ModeReport &)>;

const char *const kNone = "-";

void line(FILE *out, const ChurnReport &report, const char *name, const Cell &cell, const char *remark = "")
{
	fprintf(out, "  %-15s", name);
	for (const ModeReport &mode : report.modes)
		fprintf(out, " %13s", cell(mode).c_str());
	fprintf(out, "%s%s\n", *remark == '\0' ? "" : "   ", remark);
}

void counts(FILE *out, const ChurnReport &report, const char *name,
	    const std::function<uint64_t(const ModeReport &)> &count, const char *remark = "")
{
	line(out, report, name, [&](const ModeReport &mode) { return grouped(count(mode)); }, remark);
}

void verdict_section(FILE *out, const ChurnReport &report)
{
	fprintf(out, "\nVerdict\n");
	counts(out, report, "failed", [](const ModeReport &m) { return m.failed(); }, "calls that returned an error");
	counts(out, report, "violations", [](const ModeReport &m) { return m.violations(); },
	       "addresses held twice, or astray; leaks; counters that disagree");
	line(out, report, "verify", [](const ModeReport &m) { return m.verify_failures == 0 ? "ok" : "FAILED"; });
	for (const ModeReport &mode : report.modes) {
		if (mode.failed() != 0)
			fprintf(out, "  %s: %s maps, %s unmaps, %s others failed; first error: %s\n", name_of(mode.mode),
				grouped(mode.failed_maps).c_str(), grouped(mode.failed_unmaps).c_str(),
				grouped(mode.failed_others).c_str(), strerror(-mode.first_error));
		if (mode.violations() != 0)
			fprintf(out, "  %s: %s overlaps, %s astray, %s leaks, %s accounting\n", name_of(mode.mode),
				grouped(mode.overlaps).c_str(), grouped(mode.astray).c_str(),
				grouped(mode.leaks).c_str(), grouped(mode.accounting).c_str());
	}
}

void times_section(FILE *out, const ChurnReport &report, CallTimes ModeReport::*call)
{
	const auto figure = [&](const char *name, double CallTimes::*member) {
		line(out, report, name, [=](const ModeReport &mode) -> std::string {
			const CallTimes &times = mode.*call;
			return times.calls == 0 ? kNone : format("%.1f", times.*member);
		});
	};
	figure("mean", &CallTimes::mean);
	figure("p50", &CallTimes::p50);
	figure("p90", &CallTimes::p90);
	figure("p99", &CallTimes::p99);
	figure("p99.9", &CallTimes::p999);
	figure("max", &CallTimes::max);
}

void backend_section(FILE *out, const ChurnReport &report)
{
	const auto lazily = [&](const char *name, const Cell &cell, const std::string &remark) {
		line(out, report, name,
		     [&](const ModeReport &mode) { return mode.mode == Mode::lazy ? cell(mode) : kNone; }, remark.c_str());
	};
	fprintf(out, "\nBackend\n");
	counts(out, report, "maps", [](const ModeReport &m) { return m.backend.stats.backend_maps; }, "calls");
	counts(out, report, "unmaps", [](const ModeReport &m) { return m.backend.stats.backend_unmaps; }, "calls");
	counts(out, report, "unmapped", [](const ModeReport &m) { return m.backend.stats.unmapped_ranges; }, "ranges");
	line(out, report, "unmaps a range", [](const ModeReport &m) { return one_in(m.backend.unmaps_per_range()); });
	line(out, report, "runs a range", [](const ModeReport &m) { return one_in(m.backend.runs_per_range()); },
	     "of neighbours: a system call each with VFIO");
	const LazyBounds &bounds = report.options.bounds;
	lazily("peak deferred",
	       [](const ModeReport &m) { return human_bytes(double(m.backend.stats.deferred_peak_bytes)); },
	       "of at most " + human_bytes(double(bounds.max_bytes)));
	lazily("peak age us", [](const ModeReport &m) { return grouped(m.backend.stats.deferred_peak_us); },
	       "at most, of " + grouped(bounds.max_age_us));
	lazily("helps", [](const ModeReport &m) { return grouped(m.backend.stats.helps); },
	       "times an lcore had to unmap what was to be deferred");
}

// Strict: the translation goes at some time during the call. Region: with the region.
void exposure_section(FILE *out, const ChurnReport &report)
{
	const auto line_of = [&](const char *name, double CallTimes::*member) {
		line(out, report, name, [=](const ModeReport &mode) -> std::string {
			switch (mode.mode) {
			case Mode::strict:
				return format("0..%.1f", mode.unmap.*member / 1e3);
			case Mode::lazy:
				return mode.exposed_at_most.calls == 0
					       ? kNone
					       : format("%.0f..%.0f", mode.exposed_at_least.*member / 1e3,
							mode.exposed_at_most.*member / 1e3);
			case Mode::region:
				return "always";
			}
			return kNone;
		});
	};
	fprintf(out, "\nExposure: us after the call of unmap that devices could still reach the memory, at least..at most\n");
	line_of("p50", &CallTimes::p50);
	line_of("p99", &CallTimes::p99);
	line_of("max", &CallTimes::max);
	line(out, report, "after return", [](const ModeReport &mode) -> std::string {
		return mode.mode == Mode::strict ? "0" : mode.mode == Mode::lazy ? "the same" : "always";
	});
	counts(out, report, "samples", [](const ModeReport &mode) {
		return mode.mode == Mode::strict ? mode.unmap.calls : mode.exposed_at_most.calls;
	});
}

}  // namespace

void write_table(FILE *out, const ChurnReport &report)
{
	fprintf(out, "churn on %s: lcores %s; buffers of %s, %s mapped at once on each\n",
		report.options.vfio ? "vfio" : "soft", listed(report.lcores).c_str(),
		human_bytes(double(report.options.size)).c_str(), grouped(report.options.depth).c_str());
	fprintf(out, "\n");
	line(out, report, "", [](const ModeReport &mode) { return name_of(mode.mode); });
	verdict_section(out, report);
	fprintf(out, "\nThroughput\n");
	line(out, report, "pairs", [](const ModeReport &m) { return rate(m.pairs_per_second); },
	     "a map and an unmap; wall time, checks included, all lcores");
	fprintf(out, "\nLatency of map in ns, of a region's: lookup; each includes one reading of the clock, %.1f ns\n",
		report.clock_ns);
	times_section(out, report, &ModeReport::map);
	fprintf(out, "\nLatency of unmap in ns, in the same way\n");
	times_section(out, report, &ModeReport::unmap);
	backend_section(out, report);
	exposure_section(out, report);
}

}  // namespace iovad::perf
