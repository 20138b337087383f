// SPDX-License-Identifier: BSD-3-Clause
#include "churn/churn_options.h"

#include <algorithm>
#include <string_view>

#include "errors.h"
#include "option_parser.h"
#include "text.h"

namespace iovad::perf {

const char *const kChurnUsage =
	"Usage: iovad-perf [EAL options] -- churn [options]\n"
	"\n"
	"Maps and unmaps memory on lcores as fast as it goes, each mode in a domain of its own, one\n"
	"after the other, and reports them side by side: rate, latency, calls of the backend, and for\n"
	"how long devices could still reach what was unmapped. Checks that no address is handed out\n"
	"twice and that nothing is left.\n"
	"\n"
	"  --backend BACKEND  soft: a software IOMMU (default); vfio: devices in EAL's container\n"
	"  --mode LIST        of these, with commas (default: all):\n"
	"                     strict   each buffer mapped; unmapped when the call returns\n"
	"                     lazy     each buffer mapped; unmapped soon, by a control thread\n"
	"                     region   all memory stays mapped, each buffer is only looked up\n"
	"  --lcores N         on N lcores (default: all that EAL has)\n"
	"  --seconds S        each mode for S seconds (default 2)\n"
	"  --ops N            each mode for N buffers of each lcore, instead\n"
	"  --size BYTES       of a buffer (default 2048)\n"
	"  --depth D          buffers that an lcore has mapped at once; the oldest goes first, as in\n"
	"                     a NIC's ring (default 256)\n"
	"  --max-age-us US    lazy_max_age_us of the domain (default 10000)\n"
	"  --max-bytes BYTES  lazy_max_bytes of the domain (default 64 MiB); each lcore has so much\n"
	"                     memory\n"
	"  --json OUT         write the report as JSON\n"
	"  -h, --help         show this\n"
	"\n"
	"Exit status: 0 all is well; 1 a call failed or the library broke a promise;\n"
	"2 bad arguments, output file or environment.\n";

namespace {

constexpr unsigned kMaxLcores = 1024, kMaxSeconds = 3600, kMaxOps = 1'000'000'000;
constexpr unsigned kMaxSize = 1 << 24, kMaxDepth = 1 << 16;
constexpr unsigned kMinAge = 100, kMaxAge = 10'000'000;
constexpr unsigned kMinBytes = 4096, kMaxBytes = 1 << 30;

Mode parse_mode(std::string_view text)
{
	for (const Mode mode : {Mode::strict, Mode::lazy, Mode::region}) {
		if (text == name_of(mode))
			return mode;
	}
	throw UsageError(format("--mode takes 'strict', 'lazy' and 'region', with commas, not '%.*s'",
				static_cast<int>(text.size()), text.data()));
}

std::vector<Mode> parse_modes(std::string_view text)
{
	std::vector<Mode> modes;
	for_each_part(text, [&](std::string_view part) {
		const Mode mode = parse_mode(part);
		if (std::find(modes.begin(), modes.end(), mode) != modes.end())
			throw UsageError(format("--mode names '%s' twice", name_of(mode)));
		modes.push_back(mode);
	});
	return modes;
}

}  // namespace

const char *name_of(Mode mode)
{
	switch (mode) {
	case Mode::strict:
		return "strict";
	case Mode::lazy:
		return "lazy";
	case Mode::region:
		return "region";
	}
	return "";
}

ChurnOptions parse_churn_options(int argc, char **argv)
{
	ChurnOptions options;
	unsigned seconds = 0;
	OptionParser("churn", "iovad-perf -- churn")
		.value("backend", [&](std::string_view text) { options.vfio = parse_backend(text); })
		.value("mode", [&](std::string_view text) { options.modes = parse_modes(text); })
		.count("lcores", options.lcores, kMaxLcores)
		.count("seconds", seconds, kMaxSeconds)
		.count("ops", options.ops, kMaxOps)
		.count("size", options.size, kMaxSize)
		.count("depth", options.depth, kMaxDepth)
		.count("max-age-us", options.bounds.max_age_us, kMaxAge, kMinAge)
		.count("max-bytes", options.bounds.max_bytes, kMaxBytes, kMinBytes)
		.text("json", options.json)
		.parse(argc, argv, options.help);
	if (options.ops != 0 && seconds != 0)
		throw UsageError("--seconds and --ops: one of them says when to end");
	if (options.ops != 0 || seconds != 0)
		options.seconds = seconds;
	return options;
}

}  // namespace iovad::perf
