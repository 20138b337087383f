// SPDX-License-Identifier: BSD-3-Clause
// The keys of the JSON are documented in README.md.
#include "bounce/bounce_report.h"

#include <string>

#include "report/json_object.h"
#include "text.h"

namespace iovad::perf {

const char *name_of(Way way)
{
	constexpr const char *kNames[kWays] = {"memcpy", "pair", "bounce_sent", "bounce", "mapped", "mapped_lazily",
					       "looked_up"};
	return kNames[static_cast<unsigned>(way)];
}

std::optional<double> BounceReport::crossover(Way way) const
{
	const auto dearer_by = [way](const SizeReport &size) { return size.of(Way::bounce_sent) - size.of(way); };
	for (size_t i = 0; i < sizes.size(); ++i) {
		const double here = dearer_by(sizes[i]);
		if (here <= 0)
			continue;
		if (i == 0)
			return 0;
		const double before = dearer_by(sizes[i - 1]);
		return double(sizes[i - 1].bytes) + double(sizes[i].bytes - sizes[i - 1].bytes) * before / (before - here);
	}
	return std::nullopt;
}

namespace {

void add_crossover(JsonObject &json, const char *key, const std::optional<double> &bytes)
{
	if (bytes)
		json.add(key, *bytes);
	else
		json.add_null(key);
}

}  // namespace

void write_json(FILE *out, const BounceReport &report)
{
	{
		JsonObject json(out, 1);
		json.add("command", std::string("bounce"));
		json.add("backend", std::string(report.options.vfio ? "vfio" : "soft"));
		json.add("lcores", report.lcores);
		json.add("rounds", uint64_t(report.options.rounds));
		json.add("good", report.good());
		json.add("wrong", report.wrong);
		json.add("left", report.left);
		add_crossover(json, "crossover_mapped", report.crossover(Way::mapped_strict));
		add_crossover(json, "crossover_mapped_lazily", report.crossover(Way::mapped_lazily));
		{
			JsonObject sizes = json.object("sizes");
			for (const SizeReport &size : report.sizes) {
				JsonObject member = sizes.object(std::to_string(size.bytes).c_str());
				for (unsigned way = 0; way < kWays; ++way)
					member.add(format("%s_ns", name_of(static_cast<Way>(way))).c_str(), size.ns[way]);
				member.add("pairs_beyond_copy", size.pairs_beyond_copy());
				member.add("share_of_bandwidth", size.share_of_bandwidth());
			}
		}
		JsonObject scaling = json.object("scaling");
		for (const ScalingReport &s : report.scaling)
			scaling.add(format("%llu bytes, %u lcores", static_cast<unsigned long long>(s.bytes), s.lcores).c_str(), s.ns);
	}
	fputc('\n', out);
}

}  // namespace iovad::perf
