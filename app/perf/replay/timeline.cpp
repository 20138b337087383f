// SPDX-License-Identifier: BSD-3-Clause
#include "replay/timeline.h"

#include <algorithm>
#include <limits>
#include <set>

namespace iovad::perf {
namespace {

struct Edge {
	uint64_t tick;
	uint32_t slot;
	bool begins;
};

std::vector<Edge> edges_in_time(const RunResult &run)
{
	std::vector<Edge> edges;
	edges.reserve(2 * run.slots.size());
	for (uint32_t i = 0; i < run.slots.size(); i++) {
		const SlotRecord &slot = run.slots[i];
		if (slot.iova == 0)
			continue;
		edges.push_back({slot.alloc_tick, i, true});
		// Clocks of two cores may differ by a few ticks; no range ends before it begins.
		if (slot.free_tick != 0)
			edges.push_back({std::max(slot.free_tick, slot.alloc_tick + 1), i, false});
	}
	// Ends first: a range that takes over an address in the same tick is not beside its
	// predecessor.
	std::sort(edges.begin(), edges.end(), [](const Edge &a, const Edge &b) {
		return a.tick != b.tick ? a.tick < b.tick : a.begins < b.begins;
	});
	return edges;
}

uint64_t count_touched(const Plan &plan, const RunResult &run, const Timeline &timeline)
{
	std::vector<bool> touched((timeline.high - timeline.low + kGranule - 1) / kGranule);
	for (size_t i = 0; i < run.slots.size(); i++) {
		if (run.slots[i].iova == 0)
			continue;
		const uint64_t begin = run.slots[i].iova - timeline.low;
		for (uint64_t at = begin; at < begin + plan.slots[i].size; at += kGranule)
			touched[at / kGranule] = true;
	}
	return kGranule * static_cast<uint64_t>(std::count(touched.begin(), touched.end(), true));
}

void find_extent(const Plan &plan, const RunResult &run, Timeline &timeline)
{
	timeline.low = std::numeric_limits<uint64_t>::max();
	for (size_t i = 0; i < run.slots.size(); i++) {
		if (run.slots[i].iova == 0)
			continue;
		timeline.low = std::min(timeline.low, run.slots[i].iova);
		timeline.high = std::max(timeline.high, run.slots[i].iova + plan.slots[i].size);
	}
	timeline.low = std::min(timeline.low, timeline.high);  // nothing was allocated: [0, 0)
}

}  // namespace

Timeline make_timeline(const Plan &plan, const RunResult &run)
{
	Timeline timeline;
	timeline.begin_tick = run.begin_tick;
	timeline.end_tick = std::max(run.end_tick, run.begin_tick + 1);
	find_extent(plan, run, timeline);
	timeline.touched_bytes = count_touched(plan, run, timeline);

	// Ranges that overlap, where the allocator is broken, are no reason to stumble: multisets.
	std::multiset<uint64_t> starts, ends;
	Extent now;
	for (const Edge &edge : edges_in_time(run)) {
		const uint64_t start = run.slots[edge.slot].iova;
		const uint64_t size = plan.slots[edge.slot].size;
		if (edge.begins) {
			starts.insert(start);
			ends.insert(start + size);
			now.live_bytes += size;
		} else {
			starts.erase(starts.find(start));
			ends.erase(ends.find(start + size));
			now.live_bytes -= size;
		}
		now.footprint_bytes = starts.empty() ? 0 : *ends.rbegin() - *starts.begin();
		timeline.peak_footprint_bytes =
			std::max(timeline.peak_footprint_bytes, now.footprint_bytes);
		if (now.live_bytes > timeline.at_peak.live_bytes) {
			timeline.at_peak = now;
			timeline.peak_live_tick = edge.tick;
		}
		timeline.points.push_back({edge.tick, now.live_bytes});
	}
	timeline.at_end = now;
	return timeline;
}

}  // namespace iovad::perf
