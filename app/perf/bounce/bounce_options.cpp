// SPDX-License-Identifier: BSD-3-Clause
#include "bounce/bounce_options.h"

#include <getopt.h>

#include <string_view>

#include "errors.h"
#include "parse_count.h"
#include "text.h"

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

enum Option { kHelp = 'h', kBackend = 256, kSizes, kLcores, kRounds, kJson, kSvg };

constexpr option kOptions[] = {
	{"help", no_argument, nullptr, kHelp},
	{"backend", required_argument, nullptr, kBackend},
	{"sizes", required_argument, nullptr, kSizes},
	{"lcores", required_argument, nullptr, kLcores},
	{"rounds", required_argument, nullptr, kRounds},
	{"json", required_argument, nullptr, kJson},
	{"svg", required_argument, nullptr, kSvg},
	{nullptr, 0, nullptr, 0},
};

bool parse_backend(std::string_view text)
{
	if (text != "soft" && text != "vfio")
		throw UsageError(format("--backend takes 'soft' or 'vfio', not '%.*s'",
					static_cast<int>(text.size()), text.data()));
	return text == "vfio";
}

std::vector<uint64_t> parse_sizes(std::string_view text)
{
	std::vector<uint64_t> sizes;
	for (bool more = true; more;) {
		const size_t comma = text.find(',');
		const uint64_t size = parse_count("--sizes", text.substr(0, comma), kMaxSize);
		if (!sizes.empty() && size <= sizes.back())
			throw UsageError("--sizes: each is to be larger than the one before it");
		sizes.push_back(size);
		more = comma != std::string_view::npos;
		text.remove_prefix(more ? comma + 1 : 0);
	}
	return sizes;
}

}  // namespace

BounceOptions parse_bounce_options(int argc, char **argv)
{
	BounceOptions options;
	optind = 0;  // glibc: begin anew, whatever was parsed before
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, ":h", kOptions, nullptr)) != -1;) {
		switch (c) {
		case kHelp:
			options.help = true;
			return options;
		case kBackend:
			options.vfio = parse_backend(optarg);
			break;
		case kSizes:
			options.sizes = parse_sizes(optarg);
			break;
		case kLcores:
			options.lcores = parse_count("--lcores", optarg, kMaxLcores);
			break;
		case kRounds:
			options.rounds = parse_count("--rounds", optarg, kMaxRounds);
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
			throw UsageError(format("bounce does not know '%s'; see 'iovad-perf -- bounce --help'",
						argv[optind - 1]));
		}
	}
	if (optind < argc)
		throw UsageError(format("bounce does not know '%s'; see 'iovad-perf -- bounce --help'", argv[optind]));
	return options;
}

}  // namespace iovad::perf
