// SPDX-License-Identifier: BSD-3-Clause
// The keys of the JSON are documented in README.md.
#include "churn/churn_report.h"

#include <algorithm>

#include "report/json_object.h"

namespace iovad::perf {
namespace {

void add_mode(JsonObject &json, const ModeReport &mode)
{
	json.add("good", mode.good());
	json.add("failed", mode.failed());
	json.add("violations", mode.violations());
	json.add("overlaps", mode.overlaps);
	json.add("astray", mode.astray);
	json.add("leaks", mode.leaks);
	json.add("accounting", mode.accounting);
	json.add("verify_failures", mode.verify_failures);
	json.add("seconds", mode.seconds);
	json.add("pairs", mode.pairs);
	json.add("pairs_per_s", mode.pairs_per_second);
	json.add("map_ns", mode.map);
	if (mode.mode != Mode::region)
		json.add("unmap_ns", mode.unmap);
	if (mode.mode == Mode::lazy) {
		json.add("exposed_at_least_ns", mode.exposed_at_least);
		json.add("exposed_at_most_ns", mode.exposed_at_most);
	}
	add_members(json, mode.backend);
}

}  // namespace

bool ChurnReport::good() const
{
	return std::all_of(modes.begin(), modes.end(), [](const ModeReport &mode) { return mode.good(); });
}

void write_json(FILE *out, const ChurnReport &report)
{
	{
		JsonObject json(out, 1);
		json.add("command", std::string("churn"));
		json.add("backend", std::string(report.options.vfio ? "vfio" : "soft"));
		json.add("lcores", report.lcores);
		json.add("size", report.options.size);
		json.add("depth", uint64_t(report.options.depth));
		json.add("good", report.good());
		json.add("clock_ns", report.clock_ns);
		json.add("clock_subtracted", false);
		JsonObject modes = json.object("modes");
		for (const ModeReport &mode : report.modes) {
			JsonObject member = modes.object(name_of(mode.mode));
			add_mode(member, mode);
		}
	}
	fputc('\n', out);
}

}  // namespace iovad::perf
