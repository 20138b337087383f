// SPDX-License-Identifier: BSD-3-Clause
// What a replay found, ready to be written. Times in nanoseconds, rates per second, sizes in bytes.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "measure/call_times.h"
#include "replay/replay.h"
#include "replay/replay_plan.h"
#include "replay/timeline.h"
#include "report/backend_use.h"

namespace iovad::perf {

struct Report {
	std::string file;
	std::string engine;
	std::vector<unsigned> lcores;
	unsigned repeat = 1;
	bool paced = false;

	uint64_t lines = 0, skipped = 0, lost = 0, cpus = 0;
	double trace_seconds = 0;
	PlanCounts plan;

	uint64_t failed_allocs = 0, failed_frees = 0;
	int first_error = 0;
	std::array<uint64_t, kFindingKinds> found = {};
	uint64_t leaks = 0, accounting = 0, verify_failures = 0;

	Spread events_per_second;  // of the trace, by wall time, bookkeeping and waiting included
	Spread calls_per_second;   // by the time spent inside the library, lcores summed
	Spread seconds;            // wall time of a run
	double waiting_share = 0;  // of the lcores' time
	double clock_ns = 0;       // what reading the clock costs
	// Means are the median over the runs, of each run's mean; the rest is of all calls.
	CallTimes alloc, free;

	double cache_hit_rate = 0, depot_hit_rate = 0, tree_rate = 0;
	iovad_domain_stats domain = {};  // at the end of the last run, before the rest was freed
	std::optional<BackendUse> backend;  // of all runs, when all was unmapped; where memory was mapped

	Timeline space;  // of the last run

	uint64_t failed() const { return failed_allocs + failed_frees; }
	uint64_t violations() const;
	bool good() const { return failed() == 0 && violations() == 0 && verify_failures == 0; }
	double tree_fragmentation() const;  // 1 - largest gap / free bytes
};

void write_table(FILE *out, const Report &report);
void write_json(FILE *out, const Report &report);
void write_svg(FILE *out, const Report &report, const Plan &plan, const std::vector<SlotRecord> &slots,
	       double ticks_per_second);

}  // namespace iovad::perf
