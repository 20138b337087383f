// SPDX-License-Identifier: BSD-3-Clause
#include "replay/replay_options.h"

#include <string_view>

#include "errors.h"
#include "option_parser.h"
#include "output_file.h"
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
	options.file = OptionParser("replay", "iovad-perf -- replay")
			       .count("lcores", options.lcores, kMaxLcores)
			       .value("engine", [&](std::string_view text) { options.engine = parse_engine(text); })
			       .flag("pace", options.pace)
			       .count("repeat", options.repeat, kMaxRepeat)
			       .text("json", options.json)
			       .text("svg", options.svg)
			       .parse(argc, argv, options.help, "takes one trace");
	if (!options.help)
		check(options);
	return options;
}

}  // namespace iovad::perf
