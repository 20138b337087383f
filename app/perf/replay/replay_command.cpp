// SPDX-License-Identifier: BSD-3-Clause
// "replay": from arguments and trace to reports and the verdict.
#include <oneapi/tbb/global_control.h>

#include <algorithm>
#include <optional>

#include <rte_cycles.h>

#include <iovad/iovad_control.h>

#include "command.h"
#include "measure/clock.h"
#include "measure/domain.h"
#include "output_file.h"
#include "progress.h"
#include "replay/replay.h"
#include "replay/replay_options.h"
#include "report/report.h"
#include "text.h"
#include "trace/trace_parser.h"

namespace iovad::perf {
namespace {

constexpr uint64_t kDefaultMaxRanges = 65536;

iovad_domain_conf domain_conf(const Plan &plan, Engine engine)
{
	const LazyBounds bounds;
	iovad_domain_conf conf;
	iovad_domain_conf_init(&conf);
	conf.name = "replay";
	conf.backend = maps_memory(engine) ? IOVAD_BACKEND_SOFT : IOVAD_BACKEND_NONE;
	conf.granule = kGranule;
	conf.iova_first = kFirstIova;
	conf.iova_last = kLastIova;
	// As much for what the caches may hold as for what is live.
	conf.max_ranges = std::max(kDefaultMaxRanges, 2 * plan.counts.peak_live);
	conf.flags = engine == Engine::tree ? IOVAD_DOMAIN_F_NO_CACHE : 0;
	conf.unmap_policy = engine == Engine::lazy ? IOVAD_UNMAP_LAZY : IOVAD_UNMAP_STRICT;
	conf.lazy_max_age_us = bounds.max_age_us;
	conf.lazy_max_bytes = bounds.max_bytes;
	return conf;
}

// Gathers the figures of one run after the other.
class Gathering {
public:
	Gathering(Report &report, const Plan &plan, double hz) : report_(report), plan_(plan), hz_(hz)
	{
	}

	void add(const RunResult &run)
	{
		report_.failed_allocs += run.failed_allocs;
		report_.failed_frees += run.failed_frees;
		if (report_.first_error == 0)
			report_.first_error = run.first_error;
		for (size_t kind = 0; kind < kFindingKinds; kind++)
			report_.found[kind] += run.found[kind];
		alloc_ticks_.merge(run.alloc_ticks);
		free_ticks_.merge(run.free_ticks);
		alloc_means_.push_back(ns(run.alloc_ticks.mean()));
		free_means_.push_back(ns(run.free_ticks.mean()));
		const double seconds = double(run.end_tick - run.begin_tick) / hz_;
		seconds_.push_back(seconds);
		events_.push_back(double(plan_.counts.maps + plan_.counts.unmaps) / seconds);
		calls_.push_back(run.calls_per_busy_tick * hz_);
		waited_seconds_ += double(run.waited_ticks) / hz_;
		lcore_seconds_ += seconds * double(report_.lcores.size());

		report_.space = make_timeline(plan_, run);
	}

	void finish()
	{
		report_.alloc = times_of(alloc_ticks_, hz_);
		report_.free = times_of(free_ticks_, hz_);
		report_.alloc.mean = spread_of(alloc_means_).median;
		report_.free.mean = spread_of(free_means_).median;
		report_.seconds = spread_of(seconds_);
		report_.events_per_second = spread_of(events_);
		report_.calls_per_second = spread_of(calls_);
		report_.waiting_share = lcore_seconds_ == 0 ? 0 : waited_seconds_ / lcore_seconds_;
		const double allocs = std::max(1.0, double(alloc_ticks_.count()));
		report_.cache_hit_rate = double(report_.domain.cache_hits) / allocs;
		report_.depot_hit_rate = double(report_.domain.depot_hits) / allocs;
		report_.tree_rate = std::max(0.0, 1 - report_.cache_hit_rate - report_.depot_hit_rate);
	}

private:
	double ns(double ticks) const { return ticks * 1e9 / hz_; }

	Report &report_;
	const Plan &plan_;
	double hz_;
	Histogram alloc_ticks_, free_ticks_;
	std::vector<double> alloc_means_, free_means_, seconds_, events_, calls_;
	double waited_seconds_ = 0, lcore_seconds_ = 0;
};

void print_findings(const Trace &trace, const Plan &plan, const RunResult &run)
{
	for (const Finding &finding : run.findings) {
		const unsigned line = plan.slots[finding.slot].alloc_line;
		const std::string what =
			format("%s:%u: the allocation at 0x%llx of %llu bytes", trace.path.c_str(),
			       line, static_cast<unsigned long long>(finding.iova),
			       static_cast<unsigned long long>(plan.slots[finding.slot].size));
		switch (finding.kind) {
		case FindingKind::overlap:
			fprintf(stderr, "iovad-perf: %s overlaps the live one of line %u\n",
				what.c_str(), plan.slots[finding.other].alloc_line);
			break;
		case FindingKind::out_of_range:
			fprintf(stderr, "iovad-perf: %s is not of this domain\n", what.c_str());
			break;
		case FindingKind::misaligned:
			fprintf(stderr, "iovad-perf: %s is not naturally aligned\n", what.c_str());
			break;
		}
	}
}

uint64_t still_live(const Plan &plan, const RunResult &run)
{
	uint64_t live = 0;
	for (size_t i = 0; i < plan.slots.size(); i++)
		live += run.slots[i].iova != 0 && run.slots[i].free_tick == 0;
	return live;
}

// All runs, and what is to be checked between and after them. Returns the slots of the last run.
std::vector<SlotRecord> run_all(const ReplayOptions &options, const Trace &trace, const Plan &plan,
				Domain &domain, Report &report, Progress &progress)
{
	const bool maps = maps_memory(options.engine);
	const Target target(plan, domain.get(), maps);
	Replay replay(plan, target, report.lcores, options.pace);
	std::optional<ControlThread> control;
	if (maps)
		control.emplace();
	// What is deferred would count as live, and its memory be shared by the next run.
	const auto settle = [&] { return !maps || iovad_flush(domain.get()) == 0; };
	Gathering gathering(report, plan, double(rte_get_tsc_hz()));
	std::vector<SlotRecord> slots;
	for (unsigned i = 0; i < options.repeat; i++) {
		if (progress.due())
			progress.update(format("replaying  %u of %u", i + 1, options.repeat));
		RunResult run = replay.run();
		print_findings(trace, plan, run);
		gathering.add(run);
		report.failed_frees += !settle();
		report.domain = domain.stats();
		// What the domain believes to be live, and what was seen to be.
		report.accounting += report.domain.live_ranges != still_live(plan, run);
		report.verify_failures += !domain.verify();
		report.failed_frees += replay.free_rest();
		report.failed_frees += !settle();
		slots = std::move(run.slots);
	}
	gathering.finish();
	control.reset();

	const iovad_domain_stats stats = domain.stats();
	if (maps) {
		report.backend = {options.engine == Engine::lazy, {}, stats};
		report.accounting += report.backend->broken(report.alloc.calls);
	}
	report.leaks = stats.live_ranges;
	report.accounting += replay.owned_granules() != 0;
	report.verify_failures += !domain.verify();
	report.accounting += !domain.destroy() && report.leaks == 0;
	return slots;
}

double trace_seconds(const Trace &trace)
{
	const uint64_t begin = trace.events.front().time_ns, end = trace.events.back().time_ns;
	return end > begin ? double(end - begin) / 1e9 : 0;
}

// oneTBB's threads end here: on lcores' cores they would disturb what is measured.
Trace read_on_all_cores(const std::string &path, Progress &progress)
{
	tbb::task_scheduler_handle scheduler{tbb::attach{}};
	Trace trace = read_trace(path, progress);
	tbb::finalize(scheduler, std::nothrow);
	return trace;
}

ExitCode run_replay(const EalArguments &eal_arguments, int argc, char **argv)
{
	const ReplayOptions options = parse_replay_options(argc, argv);
	if (options.help) {
		fputs(kReplayUsage, stdout);
		return kExitOk;
	}
	Progress progress;
	const Trace trace = read_on_all_cores(options.file, progress);
	const Plan plan = make_plan(trace);
	std::optional<OutputFile> json, svg;
	if (!options.json.empty())
		json.emplace(options.json);
	if (!options.svg.empty())
		svg.emplace(options.svg);

	const Eal eal(eal_arguments);
	Report report;
	report.file = options.file;
	report.engine = name_of(options.engine);
	report.lcores = eal.lcores(options.lcores);
	if (options.lcores == 0)
		report.lcores.resize(std::min(report.lcores.size(), plan.cpus.size()));
	report.repeat = options.repeat;
	report.paced = options.pace;
	report.lines = trace.lines;
	report.skipped = trace.skipped;
	report.lost = trace.lost;
	report.cpus = plan.cpus.size();
	report.trace_seconds = trace_seconds(trace);
	report.plan = plan.counts;
	const double hz = double(rte_get_tsc_hz());
	report.clock_ns = clock_cost_ns();

	Domain domain(domain_conf(plan, options.engine));
	const std::vector<SlotRecord> slots = run_all(options, trace, plan, domain, report, progress);

	write_table(stdout, report);
	if (json)
		json->finish([&](FILE *out) { write_json(out, report); });
	if (svg)
		svg->finish([&](FILE *out) { write_svg(out, report, plan, slots, hz); });
	return report.good() ? kExitOk : kExitWrong;
}

}  // namespace

const Command kReplayCommand = {"replay", "replay a trace of the kernel's IOMMU mappings", true, run_replay};

}  // namespace iovad::perf
