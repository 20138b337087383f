// SPDX-License-Identifier: BSD-3-Clause
#include "record/record_options.h"

#include "errors.h"
#include "option_parser.h"

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

}  // namespace

RecordOptions parse_record_options(int argc, char **argv)
{
	RecordOptions options;
	options.file = OptionParser("record", "iovad-perf record")
			       .count("seconds", options.seconds, kMaxSeconds)
			       .count("buffer-kb", options.buffer_kib, kMaxBufferKib)
			       .parse(argc, argv, options.help, "writes one file");
	if (options.file.empty() && !options.help)
		throw UsageError("record needs the name of a file to write; see 'iovad-perf record --help'");
	return options;
}

}  // namespace iovad::perf
