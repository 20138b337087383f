// SPDX-License-Identifier: BSD-3-Clause
// The keys of the JSON are documented in README.md.
#include "soak/soak_report.h"

#include <cstring>

#include "report/json_object.h"
#include "report/table.h"
#include "text.h"

namespace iovad::perf {

void SoakCounts::add(const SoakCounts &other)
{
	steps += other.steps;
	refused += other.refused;
	failed += other.failed;
	double_owned += other.double_owned;
	astray += other.astray;
	spoilt += other.spoilt;
	if (first_error == 0)
		first_error = other.first_error;
}

void write_header(FILE *out)
{
	fprintf(out, "%8s %11s %9s %9s %8s %6s %9s %7s %7s %7s %6s\n", "seconds", "steps/s", "live", "cached", "deferred",
		"quar.", "bounce", "faults", "visits", "killed", "lost");
}

void write_line(FILE *out, const SoakState &state, const SoakState &before)
{
	const double seconds = state.seconds - before.seconds;
	fprintf(out, "%8.1f %11s %9s %9s %8s %6s %9s %7s %7s %7s %6s\n", state.seconds,
		rate(seconds > 0 ? double(state.steps - before.steps) / seconds : 0).c_str(), grouped(state.live).c_str(),
		grouped(state.cached).c_str(), grouped(state.deferred).c_str(), grouped(state.quarantined).c_str(),
		human_bytes(double(state.bounce_bytes)).c_str(), grouped(state.faults).c_str(),
		grouped(state.visits).c_str(), grouped(state.kills).c_str(), grouped(state.lost).c_str());
	fflush(out);
}

void write_table(FILE *out, const SoakReport &report)
{
	const SoakCounts &counts = report.counts;
	fprintf(out, "\nsoak: lcores %s, %u threads, %u visitors at once, %.1f s%s\n", listed(report.lcores).c_str(),
		report.options.threads, report.visitors, report.end.seconds, report.interrupted ? ", interrupted" : "");
	row(out, "steps", counts.steps, "calls, or a few of them that belong together");
	row(out, "refused", counts.refused, "of these, for lack of space or by an injected fault");
	row(out, "faults", report.end.faults, "injected into the IOMMU");
	row(out, "visits", report.end.visits, format("of secondary processes, %s killed", grouped(report.end.kills).c_str()));
	row(out, "inherited", report.inherited, "ranges of killed processes, freed for them");
	row(out, "lost", report.end.lost, "ranges that a killed process was taking or giving back");
	row(out, "tree grew", report.tree_grows, "times");
	row(out, "pools grew", report.pool_grows, format("times, and shrank %s", grouped(report.pool_shrinks).c_str()));
	fprintf(out, "\nVerdict\n");
	row(out, "checks", report.checks, format("%s did not verify, %s sums wrong", grouped(report.verify_failures).c_str(),
						 grouped(report.accounting).c_str()));
	row(out, "failed", counts.failed, counts.first_error == 0 ? "calls that returned what they must not"
								 : format("calls; the first: %s", strerror(-counts.first_error)));
	row(out, "owned twice", counts.double_owned, "addresses");
	row(out, "astray", counts.astray, "addresses, or translations, that lead elsewhere");
	row(out, "spoilt", counts.spoilt, "contents that were not what was written");
	row(out, "left", report.left, "ranges live when all was freed, beyond what was lost");
	row(out, "verdict", report.good() ? "good" : "WRONG");
}

void write_json(FILE *out, const SoakReport &report)
{
	const SoakCounts &counts = report.counts;
	{
		JsonObject json(out, 1);
		json.add("command", std::string("soak"));
		json.add("lcores", report.lcores);
		json.add("threads", uint64_t(report.options.threads));
		json.add("visitors", uint64_t(report.visitors));
		json.add("seed", uint64_t(report.options.seed));
		json.add("interrupted", report.interrupted);
		json.add("good", report.good());
		json.add("violations", report.violations());
		json.add("seconds", report.end.seconds);
		json.add("steps", counts.steps);
		json.add("refused", counts.refused);
		json.add("faults", report.end.faults);
		json.add("visits", report.end.visits);
		json.add("kills", report.end.kills);
		json.add("inherited", report.inherited);
		json.add("lost", report.end.lost);
		json.add("checks", report.checks);
		json.add("verify_failures", report.verify_failures);
		json.add("accounting", report.accounting);
		json.add("failed", counts.failed);
		json.add("double_owned", counts.double_owned);
		json.add("astray", counts.astray);
		json.add("spoilt", counts.spoilt);
		json.add("left", report.left);
		json.add("tree_grows", report.tree_grows);
		json.add("pool_grows", report.pool_grows);
		json.add("pool_shrinks", report.pool_shrinks);
	}
	fputc('\n', out);
}

}  // namespace iovad::perf
