// SPDX-License-Identifier: BSD-3-Clause
// The keys are documented in README.md.
#include <cmath>

#include "report/report.h"
#include "text.h"

namespace iovad::perf {
namespace {

std::string quoted(const std::string &text)
{
	std::string out = "\"";
	for (const char c : text) {
		if (c == '"' || c == '\\')
			out += std::string("\\") + c;
		else if (static_cast<unsigned char>(c) < 0x20)
			out += format("\\u%04x", static_cast<unsigned>(c));
		else
			out += c;
	}
	return out + "\"";
}

// Members in the order they are written, one per line, commas where they belong.
class JsonObject {
public:
	JsonObject(FILE *out, unsigned depth) : out_(out), depth_(depth) { fputc('{', out_); }
	~JsonObject() { fprintf(out_, "\n%*s}", int(2 * (depth_ - 1)), ""); }
	JsonObject(const JsonObject &) = delete;
	JsonObject &operator=(const JsonObject &) = delete;

	void add(const char *key, const std::string &text) { member(key, quoted(text)); }
	void add(const char *key, uint64_t n) { member(key, std::to_string(n)); }
	void add(const char *key, bool b) { member(key, b ? "true" : "false"); }

	// Digits enough for any figure here; JSON has no infinity.
	void add(const char *key, double d)
	{
		member(key, std::isfinite(d) ? format("%.6g", d) : "null");
	}

	void add(const char *key, const std::vector<unsigned> &numbers)
	{
		std::string list;
		for (const unsigned n : numbers)
			list += (list.empty() ? "" : ", ") + std::to_string(n);
		member(key, "[" + list + "]");
	}

	void add(const char *key, const Spread &spread)
	{
		member(key, format("{\"median\": %.6g, \"min\": %.6g, \"max\": %.6g}", spread.median,
				   spread.min, spread.max));
	}

	JsonObject object(const char *key)
	{
		member(key, "");
		return JsonObject(out_, depth_ + 1);
	}

private:
	void member(const char *key, const std::string &value)
	{
		fprintf(out_, "%s\n%*s%s: %s", first_ ? "" : ",", int(2 * depth_), "",
			quoted(key).c_str(), value.c_str());
		first_ = false;
	}

	FILE *out_;
	unsigned depth_;
	bool first_ = true;
};

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

void add_times(JsonObject &json, const char *key, const CallTimes &times)
{
	JsonObject call = json.object(key);
	call.add("calls", times.calls);
	call.add("mean", times.mean);
	call.add("p50", times.p50);
	call.add("p90", times.p90);
	call.add("p99", times.p99);
	call.add("p99_9", times.p999);
	call.add("p99_99", times.p9999);
	call.add("max", times.max);
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
		add_times(json, "alloc_ns", report.alloc);
		add_times(json, "free_ns", report.free);
		json.add("cache_hit_rate", report.cache_hit_rate);
		json.add("depot_hit_rate", report.depot_hit_rate);
		json.add("tree_rate", report.tree_rate);
		add_space(json, report);
		add_domain(json, report.domain);
	}
	fputc('\n', out);
}

}  // namespace iovad::perf
