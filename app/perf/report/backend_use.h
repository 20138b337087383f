// SPDX-License-Identifier: BSD-3-Clause
// What translations cost their backend, and how much outlived its unmapping: of a domain whose memory
// was mapped, once all of it is unmapped.
#pragma once

#include <cstdint>
#include <cstdio>

#include <iovad/iovad.h>

#include "report/json_object.h"

namespace iovad::perf {

// What a device may reach after a lazy unmap: the library's own defaults.
struct LazyBounds {
	uint64_t max_age_us = 10'000;
	uint64_t max_bytes = uint64_t(256) << 20;
};

struct BackendUse {
	bool lazy = false;
	LazyBounds bounds;
	iovad_domain_stats stats = {};

	// Backend calls, and runs of neighbours, for each unmapped range; 0 where there was none.
	double unmaps_per_range() const { return per_range(stats.backend_unmaps); }
	double runs_per_range() const { return per_range(stats.unmapped_runs); }

	// How many of the promises that counters can tell of are broken, of mapped ranges that shared
	// nothing. The age is none of them: it also depends on when the control thread gets a CPU.
	unsigned broken(uint64_t mapped) const;

private:
	double per_range(uint64_t n) const
	{
		return stats.unmapped_ranges == 0 ? 0 : double(n) / double(stats.unmapped_ranges);
	}
};

void write_rows(FILE *out, const BackendUse &use);
void add_members(JsonObject &json, const BackendUse &use);

}  // namespace iovad::perf
