// SPDX-License-Identifier: BSD-3-Clause
#include "record/record_options.h"

#include <getopt.h>

#include "errors.h"
#include "parse_count.h"
#include "text.h"

namespace iovad::perf {

const char *const kRecordUsage =
	"Usage: iovad-perf record OUT [options]\n"
	"\n"
	"Records what the running kernel maps and unmaps in its IOMMUs (the trace events\n"
	"iommu:map and iommu:unmap) as ftrace text, for 'iovad-perf -- replay OUT'.\n"
	"Compressed where OUT ends in .xz. Needs root and a mounted tracefs, but neither EAL\n"
	"nor huge pages; traces in an instance of its own and so disturbs no other tracing.\n"
	"\n"
	"  --seconds N        end after N seconds (default: at Ctrl-C, which always ends it\n"
	"                     and keeps what was recorded)\n"
	"  --buffer-kb N      size of the kernel's buffer for each cpu, in KiB (default 8192)\n"
	"  -h, --help         show this\n"
	"\n"
	"OUT names processes and shows physical addresses. Where its disk is behind an IOMMU,\n"
	"writing it is recorded too; /dev/shm is not.\n"
	"\n"
	"Exit status: 0 all is in OUT; 1 nothing was, events were lost, or it could not go on;\n"
	"2 bad arguments.\n";

namespace {

constexpr unsigned kMaxSeconds = 1000000;
constexpr unsigned kMaxBufferKib = 1024 * 1024;

enum Option { kHelp = 'h', kSeconds = 256, kBufferKb };

constexpr option kOptions[] = {
	{"help", no_argument, nullptr, kHelp},
	{"seconds", required_argument, nullptr, kSeconds},
	{"buffer-kb", required_argument, nullptr, kBufferKb},
	{nullptr, 0, nullptr, 0},
};

}  // namespace

RecordOptions parse_record_options(int argc, char **argv)
{
	RecordOptions options;
	optind = 0;  // glibc: begin anew, whatever was parsed before
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, ":h", kOptions, nullptr)) != -1;) {
		switch (c) {
		case kHelp:
			options.help = true;
			return options;
		case kSeconds:
			options.seconds = parse_count("--seconds", optarg, kMaxSeconds);
			break;
		case kBufferKb:
			options.buffer_kib = parse_count("--buffer-kb", optarg, kMaxBufferKib);
			break;
		case ':':
			throw UsageError(format("%s needs a value", argv[optind - 1]));
		default:
			throw UsageError(format("record does not know '%s'; see 'iovad-perf record --help'",
						argv[optind - 1]));
		}
	}
	if (optind >= argc || argv[optind][0] == '\0')
		throw UsageError("record needs the name of a file to write; see 'iovad-perf record --help'");
	if (optind + 1 < argc)
		throw UsageError(
			format("record writes one file; '%s' is one too many", argv[optind + 1]));
	options.file = argv[optind];
	return options;
}

}  // namespace iovad::perf
