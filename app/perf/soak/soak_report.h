// SPDX-License-Identifier: BSD-3-Clause
// What a soak found.
#pragma once

#include <cstdint>
#include <cstdio>
#include <vector>

#include "soak/soak_options.h"

namespace iovad::perf {

// Of one worker, or summed.
struct SoakCounts {
	uint64_t steps = 0;
	uint64_t refused = 0;  // for lack of space or nodes, or for an injected fault: what may happen
	uint64_t failed = 0;   // calls that returned what they must not
	uint64_t double_owned = 0;
	uint64_t astray = 0;   // out of the limit or misaligned; translated to other memory, or still after a strict unmap
	uint64_t spoilt = 0;   // contents that were not what was written
	int first_error = 0;   // of `failed`

	void add(const SoakCounts &other);
};

// At a check.
struct SoakState {
	double seconds = 0;
	uint64_t steps = 0;  // so far, visitors too
	uint64_t live = 0, cached = 0, deferred = 0, quarantined = 0;  // ranges
	uint64_t faults = 0, visits = 0, kills = 0;
	uint64_t lost = 0;  // ranges that died with a process
	uint64_t bounce_bytes = 0;
};

struct SoakReport {
	SoakOptions options;
	std::vector<unsigned> lcores;
	unsigned visitors = 0;
	bool interrupted = false;

	SoakCounts counts;
	SoakState end;
	uint64_t checks = 0, verify_failures = 0;
	uint64_t accounting = 0;  // sums that were wrong at a check
	uint64_t inherited = 0;   // ranges of killed processes that were freed for them
	uint64_t left = 0;        // live at the end, beyond what was lost
	uint64_t tree_grows = 0, pool_grows = 0, pool_shrinks = 0;

	uint64_t violations() const
	{
		return counts.failed + counts.double_owned + counts.astray + counts.spoilt + verify_failures + accounting + left;
	}
	bool good() const { return violations() == 0; }
};

// One line for each check; `before` is the one before it.
void write_header(FILE *out);
void write_line(FILE *out, const SoakState &state, const SoakState &before);
void write_table(FILE *out, const SoakReport &report);
void write_json(FILE *out, const SoakReport &report);

}  // namespace iovad::perf
