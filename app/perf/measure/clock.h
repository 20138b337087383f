// SPDX-License-Identifier: BSD-3-Clause
// The TSC, which all times are read from.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include <rte_cycles.h>

namespace iovad::perf {

// What one reading takes: the part of every measured time that is not the call's. Of many rounds the
// fastest, as the others were interrupted; and of a round the mean, as on some machines the clock moves
// in steps longer than a reading.
inline double clock_cost_ns()
{
	constexpr unsigned kReadings = 4096, kRounds = 64;
	double ticks = std::numeric_limits<double>::infinity();
	for (unsigned round = 0; round < kRounds; round++) {
		const uint64_t begin = rte_rdtsc();
		uint64_t end = begin;
		for (unsigned i = 0; i < kReadings; i++)
			end = rte_rdtsc();
		ticks = std::min(ticks, double(end - begin) / kReadings);
	}
	return ticks * 1e9 / double(rte_get_tsc_hz());
}

}  // namespace iovad::perf
