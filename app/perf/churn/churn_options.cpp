// SPDX-License-Identifier: BSD-3-Clause
#include "churn/churn_options.h"

#include <getopt.h>

#include <algorithm>
#include <string_view>

#include "errors.h"
#include "parse_count.h"
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

enum Option {
	kHelp = 'h',
	kBackend = 256,
	kMode,
	kLcores,
	kSeconds,
	kOps,
	kSize,
	kDepth,
	kMaxAgeUs,
	kMaxBytesDeferred,
	kJson
};

constexpr option kOptions[] = {
	{"help", no_argument, nullptr, kHelp},
	{"backend", required_argument, nullptr, kBackend},
	{"mode", required_argument, nullptr, kMode},
	{"lcores", required_argument, nullptr, kLcores},
	{"seconds", required_argument, nullptr, kSeconds},
	{"ops", required_argument, nullptr, kOps},
	{"size", required_argument, nullptr, kSize},
	{"depth", required_argument, nullptr, kDepth},
	{"max-age-us", required_argument, nullptr, kMaxAgeUs},
	{"max-bytes", required_argument, nullptr, kMaxBytesDeferred},
	{"json", required_argument, nullptr, kJson},
	{nullptr, 0, nullptr, 0},
};

bool parse_backend(std::string_view text)
{
	if (text != "soft" && text != "vfio")
		throw UsageError(format("--backend takes 'soft' or 'vfio', not '%.*s'",
					static_cast<int>(text.size()), text.data()));
	return text == "vfio";
}

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
	for (bool more = true; more;) {
		const size_t comma = text.find(',');
		const Mode mode = parse_mode(text.substr(0, comma));
		if (std::find(modes.begin(), modes.end(), mode) != modes.end())
			throw UsageError(format("--mode names '%s' twice", name_of(mode)));
		modes.push_back(mode);
		more = comma != std::string_view::npos;
		text.remove_prefix(more ? comma + 1 : 0);
	}
	return modes;
}

// False: not one of these.
bool parse_number(int c, ChurnOptions &options)
{
	switch (c) {
	case kLcores:
		options.lcores = parse_count("--lcores", optarg, kMaxLcores);
		return true;
	case kSeconds:
		options.seconds = parse_count("--seconds", optarg, kMaxSeconds);
		return true;
	case kOps:
		options.ops = parse_count("--ops", optarg, kMaxOps);
		return true;
	case kSize:
		options.size = parse_count("--size", optarg, kMaxSize);
		return true;
	case kDepth:
		options.depth = parse_count("--depth", optarg, kMaxDepth);
		return true;
	case kMaxAgeUs:
		options.bounds.max_age_us = parse_count("--max-age-us", optarg, kMaxAge, kMinAge);
		return true;
	case kMaxBytesDeferred:
		options.bounds.max_bytes = parse_count("--max-bytes", optarg, kMaxBytes, kMinBytes);
		return true;
	default:
		return false;
	}
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
	bool timed = false;
	optind = 0;  // glibc: begin anew, whatever was parsed before
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, ":h", kOptions, nullptr)) != -1;) {
		timed |= c == kSeconds;
		if (parse_number(c, options))
			continue;
		switch (c) {
		case kHelp:
			options.help = true;
			return options;
		case kBackend:
			options.vfio = parse_backend(optarg);
			break;
		case kMode:
			options.modes = parse_modes(optarg);
			break;
		case kJson:
			options.json = optarg;
			break;
		case ':':
			throw UsageError(format("%s needs a value", argv[optind - 1]));
		default:
			throw UsageError(format("churn does not know '%s'; see 'iovad-perf -- churn --help'",
						argv[optind - 1]));
		}
	}
	if (optind < argc)
		throw UsageError(format("churn does not know '%s'; see 'iovad-perf -- churn --help'",
					argv[optind]));
	if (options.ops != 0 && timed)
		throw UsageError("--seconds and --ops: one of them says when to end");
	if (options.ops != 0)
		options.seconds = 0;
	return options;
}

}  // namespace iovad::perf
