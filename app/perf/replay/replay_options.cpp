// SPDX-License-Identifier: BSD-3-Clause
#include "replay/replay_options.h"

#include <getopt.h>

#include <string_view>

#include "errors.h"
#include "output_file.h"
#include "parse_count.h"
#include "text.h"

namespace iovad::perf {

const char *const kReplayUsage =
	"Usage: iovad-perf [EAL options] -- replay FILE [options]\n"
	"\n"
	"Replays the allocations behind a trace of the kernel's iommu:map and iommu:unmap\n"
	"events (ftrace text, plain or .xz), and reports latency, throughput and the state\n"
	"of the address space. Checks that no two live ranges ever overlap.\n"
	"\n"
	"  --lcores N         run on N lcores, cpu c of the trace on the (c mod N)-th of them\n"
	"                     (default: as many as the trace has cpus, or EAL has lcores)\n"
	"  --engine ENGINE    cached: addresses, through the lcore caches (default);\n"
	"                     tree: addresses, every request to the range tree;\n"
	"                     strict, lazy: memory mapped in a software IOMMU, unmapped so\n"
	"  --pace             no call earlier than in the trace, instead of as fast as it goes\n"
	"  --repeat R         run R times, for steadier figures (default 1)\n"
	"  --json OUT         write the report as JSON\n"
	"  --svg OUT          draw the address space over time\n"
	"  -h, --help         show this\n"
	"\n"
	"Exit status: 0 all is well; 1 a call failed or the allocator broke a promise;\n"
	"2 bad arguments, trace, output files or environment.\n";

namespace {

constexpr unsigned kMaxRepeat = 100000;
constexpr unsigned kMaxLcores = 1024;

enum Option { kHelp = 'h', kLcores = 256, kEngine, kPace, kRepeat, kJson, kSvg };

constexpr option kOptions[] = {
	{"help", no_argument, nullptr, kHelp},
	{"lcores", required_argument, nullptr, kLcores},
	{"engine", required_argument, nullptr, kEngine},
	{"pace", no_argument, nullptr, kPace},
	{"repeat", required_argument, nullptr, kRepeat},
	{"json", required_argument, nullptr, kJson},
	{"svg", required_argument, nullptr, kSvg},
	{nullptr, 0, nullptr, 0},
};

constexpr Engine kEngines[] = {Engine::cached, Engine::tree, Engine::strict, Engine::lazy};

Engine parse_engine(std::string_view text)
{
	for (const Engine engine : kEngines) {
		if (text == name_of(engine))
			return engine;
	}
	throw UsageError(format("--engine takes 'cached', 'tree', 'strict' or 'lazy', not '%.*s'",
				static_cast<int>(text.size()), text.data()));
}

void check(const ReplayOptions &options)
{
	if (options.file.empty())
		throw UsageError("replay needs the name of a trace; see 'iovad-perf -- replay --help'");
	for (const std::string &out : {options.json, options.svg}) {
		if (!out.empty() && same_file(out, options.file))
			throw UsageError(out + ": would overwrite the trace");
	}
	if (!options.json.empty() && options.json == options.svg)
		throw UsageError(options.json + ": --json and --svg name the same file");
}

}  // namespace

const char *name_of(Engine engine)
{
	switch (engine) {
	case Engine::cached:
		return "cached";
	case Engine::tree:
		return "tree";
	case Engine::strict:
		return "strict";
	case Engine::lazy:
		return "lazy";
	}
	return "";
}

ReplayOptions parse_replay_options(int argc, char **argv)
{
	ReplayOptions options;
	optind = 0;  // glibc: begin anew, whatever was parsed before
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, ":h", kOptions, nullptr)) != -1;) {
		switch (c) {
		case kHelp:
			options.help = true;
			return options;
		case kLcores:
			options.lcores = parse_count("--lcores", optarg, kMaxLcores);
			break;
		case kEngine:
			options.engine = parse_engine(optarg);
			break;
		case kPace:
			options.pace = true;
			break;
		case kRepeat:
			options.repeat = parse_count("--repeat", optarg, kMaxRepeat);
			break;
		case kJson:
			options.json = optarg;
			break;
		case kSvg:
			options.svg = optarg;
			break;
		case ':':
			throw UsageError(format("%s needs a value", argv[optind - 1]));
		default:
			throw UsageError(
				format("replay does not know '%s'; see 'iovad-perf -- replay --help'",
				       argv[optind - 1]));
		}
	}
	if (optind < argc)
		options.file = argv[optind];
	if (optind + 1 < argc)
		throw UsageError(
			format("replay takes one trace; '%s' is one too many", argv[optind + 1]));
	check(options);
	return options;
}

}  // namespace iovad::perf
