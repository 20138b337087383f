// SPDX-License-Identifier: BSD-3-Clause
#include "soak/soak_options.h"

#include <cmath>
#include <cstdlib>
#include <string_view>

#include "errors.h"
#include "option_parser.h"
#include "soak/limits.h"
#include "text.h"

namespace iovad::perf {

const char *const kSoakUsage =
	"Usage: iovad-perf [EAL options] -- soak [options]\n"
	"\n"
	"Does all that the library can, at random, on the worker lcores, on threads of its own and in\n"
	"secondary processes that are killed, with an IOMMU in software that fails now and then. At\n"
	"intervals all stand still, and what there is is compared with what there should be.\n"
	"\n"
	"  --minutes M        for so long, or a part (default 1); Ctrl-C ends it as well\n"
	"  --seconds S        the same in seconds\n"
	"  --ops N            each lcore and thread N steps, instead\n"
	"  --threads N        threads that are no lcores; every second one is registered with EAL,\n"
	"                     which has either such or secondary processes (default 2)\n"
	"  --visitors N       secondary processes at once (default 2; 0 where EAL's memory cannot be\n"
	"                     shared, as with --no-huge or --in-memory)\n"
	"  --kill-every MS    kill one of them with SIGKILL so often (default 200; 0: never)\n"
	"  --fault-every N    every Nth call of the IOMMU fails (default 1000; 0: none)\n"
	"  --interval S       seconds from one check to the next (default 5)\n"
	"  --seed N           of the random numbers (default 1)\n"
	"  --json OUT         write the report as JSON\n"
	"  -h, --help         show this\n"
	"\n"
	"Exit status: 0 all is well; 1 the library broke a promise; 2 bad arguments, output file or\n"
	"environment.\n";

namespace {

constexpr double kLeastSeconds = 0.01, kMostSeconds = 30 * 86400;
constexpr unsigned kMaxOps = 1'000'000'000, kMaxKill = 3'600'000, kMaxSeed = 1'000'000'000;

double parse_seconds(const char *name, std::string_view text, double unit)
{
	const std::string copy(text);
	char *end;
	const double value = strtod(copy.c_str(), &end);
	if (copy.empty() || *end != '\0' || !std::isfinite(value) || value * unit < kLeastSeconds ||
	    value * unit > kMostSeconds)
		throw UsageError(format("%s takes a number from %g to %g, not '%s'", name, kLeastSeconds / unit,
					kMostSeconds / unit, copy.c_str()));
	return value * unit;
}

}  // namespace

SoakOptions parse_soak_options(int argc, char **argv)
{
	SoakOptions options;
	double seconds = 0;
	OptionParser("soak", "iovad-perf -- soak")
		.value("minutes", [&](std::string_view text) { seconds = parse_seconds("--minutes", text, 60); })
		.value("seconds", [&](std::string_view text) { seconds = parse_seconds("--seconds", text, 1); })
		.count("ops", options.ops, kMaxOps)
		.count("threads", options.threads, kMostThreads, 0)
		.count("visitors", options.visitors, kMostVisitors, 0)
		.count("kill-every", options.kill_every_ms, kMaxKill, 0)
		.count("fault-every", options.fault_every, kMaxOps, 0)
		.value("interval", [&](std::string_view text) { options.interval = parse_seconds("--interval", text, 1); })
		.count("seed", options.seed, kMaxSeed, 0)
		.text("json", options.json)
		.parse(argc, argv, options.help);
	if (options.ops != 0 && seconds != 0)
		throw UsageError("--ops and --seconds or --minutes: one of them says when to end");
	if (options.ops != 0 || seconds != 0)
		options.seconds = seconds;
	return options;
}

}  // namespace iovad::perf
