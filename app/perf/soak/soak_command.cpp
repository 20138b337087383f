// SPDX-License-Identifier: BSD-3-Clause
// "soak": from arguments to reports and the verdict.
#include <atomic>
#include <csignal>
#include <optional>

#include <rte_lcore.h>

#include "command.h"
#include "output_file.h"
#include "soak/conductor.h"
#include "text.h"

namespace iovad::perf {
namespace {

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);

void interrupt(int) { interrupted.store(true, std::memory_order_relaxed); }

unsigned visitors_of(const SoakOptions &options)
{
	constexpr unsigned kVisitors = 2;
	const bool possible = Visitors::possible();
	if (options.visitors > 0 && !possible)
		throw UsageError("--visitors: secondary processes need EAL's memory in huge pages, and neither --no-huge, "
				 "--in-memory nor --no-shconf");
	return options.visitors >= 0 ? static_cast<unsigned>(options.visitors) : possible ? kVisitors : 0;
}

std::vector<unsigned> worker_lcores()
{
	std::vector<unsigned> lcores;
	unsigned lcore;
	RTE_LCORE_FOREACH_WORKER(lcore) {
		lcores.push_back(lcore);
	}
	return lcores;
}

ExitCode run_soak(const EalArguments &eal_arguments, int argc, char **argv)
{
	SoakReport report;
	report.options = parse_soak_options(argc, argv);
	if (report.options.help) {
		fputs(kSoakUsage, stdout);
		return kExitOk;
	}
	std::optional<OutputFile> json;
	if (!report.options.json.empty())
		json.emplace(report.options.json);

	const Eal eal(eal_arguments);
	report.lcores = worker_lcores();
	report.visitors = visitors_of(report.options);
	if (report.lcores.empty() && report.options.threads == 0)
		throw UsageError("nobody to work: give EAL more lcores with -l, or --threads");
	signal(SIGINT, interrupt);
	signal(SIGTERM, interrupt);
	Conductor(eal_arguments, report.options, report.lcores, report.visitors, interrupted).run(report);
	report.interrupted = interrupted.load(std::memory_order_relaxed);
	write_table(stdout, report);
	if (json)
		json->finish([&](FILE *out) { write_json(out, report); });
	return report.good() ? kExitOk : kExitWrong;
}

}  // namespace

const Command kSoakCommand = {"soak", "all at once at random for long, with faults and killed processes", true, run_soak};

}  // namespace iovad::perf
