// SPDX-License-Identifier: BSD-3-Clause
// What is told of one kind of call, in nanoseconds. A reading of the clock is part of every time: not
// subtracted.
#pragma once

#include <cstdint>
#include <vector>

#include "measure/histogram.h"

namespace iovad::perf {

struct CallTimes {
	uint64_t calls = 0;
	double mean = 0;
	double p50 = 0, p90 = 0, p99 = 0, p999 = 0, p9999 = 0, max = 0;
};

CallTimes times_of(const Histogram &ticks, double ticks_per_second);

// Over the runs.
struct Spread {
	double median = 0, min = 0, max = 0;
};

Spread spread_of(std::vector<double> values);

}  // namespace iovad::perf
