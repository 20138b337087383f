// SPDX-License-Identifier: BSD-3-Clause
// The arguments of "record".
#pragma once

#include <string>

namespace iovad::perf {

struct RecordOptions {
	std::string file;
	unsigned seconds = 0;        // 0: until it is told to stop
	unsigned buffer_kib = 8192;  // of the kernel, for each cpu: some 200 000 events
	bool help = false;
};

extern const char *const kRecordUsage;

// argv[0] is "record"; argv is reordered. Throws UsageError.
RecordOptions parse_record_options(int argc, char **argv);

}  // namespace iovad::perf
