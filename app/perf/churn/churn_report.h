// SPDX-License-Identifier: BSD-3-Clause
// What a churn found, ready to be written. Times in nanoseconds but where a name says else.
#pragma once

#include <cstdint>
#include <cstdio>
#include <vector>

#include "churn/churn_options.h"
#include "measure/call_times.h"
#include "report/backend_use.h"

namespace iovad::perf {

struct ModeReport {
	Mode mode = Mode::strict;

	uint64_t failed_maps = 0, failed_unmaps = 0, failed_others = 0;
	int first_error = 0;
	uint64_t overlaps = 0, astray = 0, leaks = 0, accounting = 0, verify_failures = 0;

	double seconds = 0;
	uint64_t pairs = 0;
	double pairs_per_second = 0;  // by wall time, checks included
	CallTimes map, unmap;         // of a region: map is a lookup, and there is no unmap
	CallTimes exposed_at_least, exposed_at_most;  // of samples; lazy only
	BackendUse backend;

	uint64_t failed() const { return failed_maps + failed_unmaps + failed_others; }
	uint64_t violations() const { return overlaps + astray + leaks + accounting; }
	bool good() const { return failed() == 0 && violations() == 0 && verify_failures == 0; }
};

struct ChurnReport {
	ChurnOptions options;
	std::vector<unsigned> lcores;
	double clock_ns = 0;  // what reading the clock costs
	std::vector<ModeReport> modes;

	bool good() const;
};

void write_table(FILE *out, const ChurnReport &report);
void write_json(FILE *out, const ChurnReport &report);

}  // namespace iovad::perf
