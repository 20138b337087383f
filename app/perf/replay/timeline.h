// SPDX-License-Identifier: BSD-3-Clause
// The address space over one run, put together afterwards from what became of every slot.
//
// Live bytes: of the ranges live at a moment, as requested. Footprint: from the lowest live address
// to the end of the highest, holes included. Touched: granules handed out at least once. A device
// driver pays for them in page tables: the closer touched is to the peak of live, the better.
#pragma once

#include <cstdint>
#include <vector>

#include "replay/replay.h"
#include "replay/replay_plan.h"

namespace iovad::perf {

struct Extent {
	uint64_t live_bytes = 0;
	uint64_t footprint_bytes = 0;

	// The share of the footprint that is holes.
	double fragmentation() const
	{
		return footprint_bytes == 0 ? 0 : 1 - double(live_bytes) / double(footprint_bytes);
	}
};

struct Timeline {
	struct Point {
		uint64_t tick;
		uint64_t live_bytes;  // from here on
	};

	uint64_t begin_tick = 0, end_tick = 0;
	uint64_t low = 0, high = 0;  // of all addresses handed out: [low, high)
	uint64_t touched_bytes = 0;
	uint64_t peak_live_tick = 0;
	uint64_t peak_footprint_bytes = 0;
	Extent at_peak;  // when most bytes were live
	Extent at_end;   // before the rest is freed
	std::vector<Point> points;
};

Timeline make_timeline(const Plan &plan, const RunResult &run);

}  // namespace iovad::perf
