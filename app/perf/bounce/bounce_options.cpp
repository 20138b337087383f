// SPDX-License-Identifier: BSD-3-Clause
#include "bounce/bounce_options.h"

#include <string_view>

#include "errors.h"
#include "option_parser.h"

namespace iovad::perf {

const char *const kBounceUsage =
	"Usage: iovad-perf [EAL options] -- bounce [options]\n"
	"\n"
	"Gives a device ordinary memory, and takes it back, in every way that there is: copied through\n"
	"a bounce pool, mapped and unmapped, or in a region that stays mapped; beside a plain memcpy and\n"
	"an address allocated and freed. One lcore, then several at once. Says up to which size a copy\n"
	"is cheaper than a mapping, and checks what the device would see.\n"
	"\n"
	"  --backend BACKEND  soft: a software IOMMU (default); vfio: devices in EAL's container\n"
	"  --sizes LIST       bytes of a buffer, ascending, with commas (default: 64 to 1048576)\n"
	"  --lcores N         up to N lcores at once (default: all that EAL has)\n"
	"  --rounds R         each figure is the median of R rounds, of each way in turn (default 15)\n"
	"  --json OUT         write the report as JSON\n"
	"  --svg OUT          draw cost over size\n"
	"  -h, --help         show this\n"
	"\n"
	"Exit status: 0 all is well; 1 a call failed or the library broke a promise;\n"
	"2 bad arguments, output files or environment.\n";

namespace {

constexpr unsigned kMaxLcores = 1024, kMaxRounds = 1000, kMaxSize = 4 << 20;

std::vector<uint64_t> parse_sizes(std::string_view text)
{
	std::vector<uint64_t> sizes;
	for_each_part(text, [&](std::string_view part) {
		const uint64_t size = parse_count("--sizes", part, kMaxSize);
		if (!sizes.empty() && size <= sizes.back())
			throw UsageError("--sizes: each is to be larger than the one before it");
		sizes.push_back(size);
	});
	return sizes;
}

}  // namespace

BounceOptions parse_bounce_options(int argc, char **argv)
{
	BounceOptions options;
	OptionParser("bounce", "iovad-perf -- bounce")
		.value("backend", [&](std::string_view text) { options.vfio = parse_backend(text); })
		.value("sizes", [&](std::string_view text) { options.sizes = parse_sizes(text); })
		.count("lcores", options.lcores, kMaxLcores)
		.count("rounds", options.rounds, kMaxRounds)
		.text("json", options.json)
		.text("svg", options.svg)
		.parse(argc, argv, options.help);
	return options;
}

}  // namespace iovad::perf
