// SPDX-License-Identifier: BSD-3-Clause
// "bounce": from arguments to reports and the verdict.
#include <algorithm>
#include <atomic>
#include <optional>

#include "bounce/bounce_report.h"
#include "bounce/contest.h"
#include "command.h"
#include "measure/lcores.h"
#include "output_file.h"
#include "progress.h"
#include "text.h"

namespace iovad::perf {
namespace {

constexpr double kSliceNs = 500'000;
constexpr uint64_t kFirstTries = 16;
constexpr uint64_t kScaled[] = {64, 1500, 65536};

double checked(double ns)
{
	if (ns < 0)
		throw RunError("a call failed: the pool or the domain is too small, or the log says why");
	return ns;
}

// So many take a slice. What is done for the first time takes longer: not counted.
uint64_t tries_of(const Contest &contest, Way way, uint64_t bytes)
{
	checked(contest.time(way, 0, bytes, kFirstTries));
	const double ns = checked(contest.time(way, 0, bytes, kFirstTries));
	return std::max<uint64_t>(static_cast<uint64_t>(kSliceNs / std::max(ns, 1.0)), 2);
}

SizeReport run_size(const Contest &contest, uint64_t bytes, unsigned rounds)
{
	SizeReport report;
	report.bytes = bytes;
	uint64_t tries[kWays];
	std::vector<double> ns[kWays];
	for (unsigned way = 0; way < kWays; ++way)
		tries[way] = tries_of(contest, static_cast<Way>(way), bytes);
	for (unsigned round = 0; round < rounds; ++round) {
		for (unsigned way = 0; way < kWays; ++way)
			ns[way].push_back(checked(contest.time(static_cast<Way>(way), 0, bytes, tries[way])));
	}
	for (unsigned way = 0; way < kWays; ++way)
		report.ns[way] = spread_of(ns[way]);
	return report;
}

// One round; the mean of the lcores. Each does as many as take a slice.
double run_together(const Contest &contest, uint64_t bytes, const std::vector<unsigned> &lcores, uint64_t tries)
{
	std::vector<double> ns(lcores.size());
	std::atomic<uint64_t> ended = 0;
	const LcoreWork work = {
		.run = [&](size_t index) {
			ns[index] = contest.time(Way::bounce, index, bytes, tries);
			ended.fetch_add(1, std::memory_order_relaxed);
		},
		.progress = [&] { return ended.load(std::memory_order_relaxed); },
		.say_where = [&] { fprintf(stderr, "bouncing %s bytes on %zu lcores\n", grouped(bytes).c_str(), lcores.size()); },
	};
	run_on_lcores(lcores, work);
	double sum = 0;
	for (const double each : ns)
		sum += checked(each);
	return sum / double(lcores.size());
}

void run_scaling(const Contest &contest, BounceReport &report)
{
	for (const uint64_t bytes : kScaled) {
		if (bytes > report.options.sizes.back())
			continue;
		const uint64_t tries = tries_of(contest, Way::bounce, bytes) * 4;
		for (size_t n = 1; n <= report.lcores.size(); n = n < report.lcores.size() ? std::min(2 * n, report.lcores.size()) : n + 1) {
			const std::vector<unsigned> some(report.lcores.begin(), report.lcores.begin() + static_cast<ptrdiff_t>(n));
			std::vector<double> ns;
			for (unsigned round = 0; round < report.options.rounds; ++round)
				ns.push_back(run_together(contest, bytes, some, tries));
			report.scaling.push_back({bytes, static_cast<unsigned>(n), spread_of(ns)});
		}
	}
}

ExitCode run_bounce(const EalArguments &eal_arguments, int argc, char **argv)
{
	BounceReport report;
	report.options = parse_bounce_options(argc, argv);
	const BounceOptions &options = report.options;
	if (options.help) {
		fputs(kBounceUsage, stdout);
		return kExitOk;
	}
	std::optional<OutputFile> json, svg;
	if (!options.json.empty())
		json.emplace(options.json);
	if (!options.svg.empty())
		svg.emplace(options.svg);

	const Eal eal(eal_arguments);
	report.lcores = eal.lcores(options.lcores);
	Contest contest(options.vfio, report.lcores.size(), options.sizes.back());
	Progress progress;
	for (const uint64_t bytes : options.sizes) {
		progress.update(format("bouncing  %s bytes", grouped(bytes).c_str()));
		report.wrong += !contest.check(bytes);
		report.sizes.push_back(run_size(contest, bytes, options.rounds));
	}
	run_scaling(contest, report);
	report.left = contest.end();
	write_table(stdout, report);
	if (json)
		json->finish([&](FILE *out) { write_json(out, report); });
	if (svg)
		svg->finish([&](FILE *out) { write_svg(out, report); });
	return report.good() ? kExitOk : kExitWrong;
}

}  // namespace

const Command kBounceCommand = {"bounce", "copy through a bounce pool, beside mapping and memcpy", true, run_bounce};

}  // namespace iovad::perf
