// SPDX-License-Identifier: BSD-3-Clause
#include "replay/replay_plan.h"

#include <algorithm>
#include <limits>
#include <string>

#include "errors.h"
#include "trace/live_maps.h"

namespace iovad::perf {
namespace {

constexpr uint32_t kNever = std::numeric_limits<uint32_t>::max();

// An allocation while its extent is not settled: events by their index in the trace.
struct Draft {
	uint32_t alloc_event;
	uint32_t free_event;
	uint64_t size;
};

class Planner {
public:
	explicit Planner(const Trace &trace) : trace_(trace), unmapped_(trace.events.size(), 0)
	{
		drafts_.reserve(trace.events.size() / 2 + 1);
	}

	Plan run()
	{
		for (uint32_t i = 0; i < trace_.events.size(); i++) {
			const TraceEvent &event = trace_.events[i];
			if (event.kind == EventKind::map)
				map(i, event);
			else
				unmap(i, event);
		}
		keep_the_rest();
		fill_cpus();
		fill_slots();
		fill_ops();
		find_peaks();
		return std::move(plan_);
	}

private:
	static constexpr uint64_t kSettled = std::numeric_limits<uint64_t>::max();

	void map(uint32_t i, const TraceEvent &event)
	{
		plan_.counts.maps++;
		plan_.counts.remapped += live_.overlaps(event.iova, event.iova + event.size);
		live_.add(event.iova, event.iova + event.size, i);
	}

	void unmap(uint32_t i, const TraceEvent &event)
	{
		plan_.counts.unmaps++;
		const uint64_t end = event.iova + event.size;
		const std::vector<uint32_t> maps = live_.take_tiling(event.iova, end);
		if (!maps.empty()) {
			for (const uint32_t m : maps)
				unmapped_[m] = kSettled;
			plan_.counts.multi += maps.size() > 1;
			drafts_.push_back({*std::min_element(maps.begin(), maps.end()), i, event.size});
			return;
		}
		bool any = false;
		live_.take_parts(event.iova, end, [&](uint32_t m, uint64_t bytes) {
			any = true;
			unmapped_[m] += bytes;
			if (unmapped_[m] == trace_.events[m].size) {
				drafts_.push_back({m, i, trace_.events[m].size});
				unmapped_[m] = kSettled;
			}
		});
		plan_.counts.partial += any;
		plan_.counts.unmatched += !any;
	}

	void keep_the_rest()
	{
		for (uint32_t i = 0; i < trace_.events.size(); i++) {
			if (trace_.events[i].kind == EventKind::map && unmapped_[i] != kSettled)
				drafts_.push_back({i, kNever, trace_.events[i].size});
		}
		std::sort(drafts_.begin(), drafts_.end(),
			  [](const Draft &a, const Draft &b) { return a.alloc_event < b.alloc_event; });
	}

	void fill_cpus()
	{
		std::vector<bool> seen(std::numeric_limits<uint16_t>::max() + 1);
		for (const TraceEvent &event : trace_.events)
			seen[event.cpu] = true;
		rank_.resize(seen.size());
		for (size_t cpu = 0; cpu < seen.size(); cpu++) {
			rank_[cpu] = static_cast<uint16_t>(plan_.cpus.size());
			if (seen[cpu])
				plan_.cpus.push_back(static_cast<uint16_t>(cpu));
		}
	}

	void fill_slots()
	{
		for (const Draft &draft : drafts_) {
			Slot slot;
			const TraceEvent &alloc = trace_.events[draft.alloc_event];
			slot.size = draft.size;
			slot.alloc_line = alloc.line;
			slot.alloc_cpu = rank_[alloc.cpu];
			if (draft.free_event != kNever) {
				slot.free_line = trace_.events[draft.free_event].line;
				slot.free_cpu = rank_[trace_.events[draft.free_event].cpu];
				plan_.counts.cross_cpu += slot.free_cpu != slot.alloc_cpu;
			}
			plan_.slots.push_back(slot);
		}
		plan_.counts.allocs = plan_.slots.size();
	}

	void fill_ops()
	{
		struct Place {
			uint32_t event, slot;
			bool is_free;
		};
		std::vector<Place> places;
		places.reserve(2 * drafts_.size());
		for (uint32_t s = 0; s < drafts_.size(); s++) {
			places.push_back({drafts_[s].alloc_event, s, false});
			if (drafts_[s].free_event != kNever)
				places.push_back({drafts_[s].free_event, s, true});
		}
		std::sort(places.begin(), places.end(), [](const Place &a, const Place &b) {
			return a.event != b.event ? a.event < b.event : a.slot < b.slot;
		});
		for (const Place &place : places) {
			const TraceEvent &event = trace_.events[place.event];
			plan_.ops.push_back({place.slot, rank_[event.cpu], place.is_free, since_begin(event)});
		}
		plan_.counts.frees = plan_.ops.size() - plan_.slots.size();
		plan_.counts.live_at_end = plan_.slots.size() - plan_.counts.frees;
	}

	// A clock that differs between cpus may show an event before the first.
	uint64_t since_begin(const TraceEvent &event) const
	{
		return event.time_ns - std::min(event.time_ns, trace_.events.front().time_ns);
	}

	void find_peaks()
	{
		PlanCounts &counts = plan_.counts;
		uint64_t live = 0, bytes = 0;
		for (const Op &op : plan_.ops) {
			const uint64_t size = plan_.slots[op.slot].size;
			live = op.is_free ? live - 1 : live + 1;
			bytes = op.is_free ? bytes - size : bytes + size;
			counts.peak_live = std::max(counts.peak_live, live);
			counts.peak_live_bytes = std::max(counts.peak_live_bytes, bytes);
		}
	}

	const Trace &trace_;
	LiveMaps live_;
	std::vector<uint64_t> unmapped_;  // per map event: its bytes unmapped so far, or kSettled
	std::vector<Draft> drafts_;
	std::vector<uint16_t> rank_;  // cpu of the trace -> dense index
	Plan plan_;
};

}  // namespace

Plan make_plan(const Trace &trace)
{
	if (trace.events.size() >= kNever / 2)
		throw UsageError(trace.path + ": more events than iovad-perf can number (2^31)");
	return Planner(trace).run();
}

}  // namespace iovad::perf
