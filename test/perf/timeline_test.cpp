// SPDX-License-Identifier: BSD-3-Clause
#include "replay/timeline.h"

#include <gtest/gtest.h>

namespace iovad::perf {
namespace {

constexpr uint64_t kPage = 4096;

// Ranges with their lives, in ticks; freed 0: never.
class RunBuilder {
public:
	RunBuilder &range(uint64_t page, uint64_t pages, uint64_t allocated, uint64_t freed)
	{
		Slot slot;
		slot.size = pages * kPage;
		plan_.slots.push_back(slot);
		run_.slots.push_back({page * kPage, allocated, freed, 0});
		run_.end_tick = std::max({run_.end_tick, allocated, freed});
		return *this;
	}
	Timeline timeline() const { return make_timeline(plan_, run_); }

private:
	Plan plan_;
	RunResult run_;
};

TEST(TimelineTest, NothingIsNothing)
{
	const Timeline timeline = RunBuilder().range(0, 1, 0, 0).timeline();
	EXPECT_EQ(0u, timeline.touched_bytes);
	EXPECT_EQ(0u, timeline.peak_footprint_bytes);
	EXPECT_EQ(0.0, timeline.at_end.fragmentation());
}

TEST(TimelineTest, FootprintCountsHoles)
{
	const Timeline timeline =
		RunBuilder().range(10, 2, 1, 8).range(14, 2, 2, 0).range(20, 1, 3, 4).timeline();
	EXPECT_EQ(10 * kPage, timeline.low);
	EXPECT_EQ(21 * kPage, timeline.high);
	EXPECT_EQ(5 * kPage, timeline.touched_bytes);
	EXPECT_EQ(11 * kPage, timeline.peak_footprint_bytes);
	EXPECT_EQ(5 * kPage, timeline.at_peak.live_bytes);
	EXPECT_EQ(3u, timeline.peak_live_tick);
	EXPECT_DOUBLE_EQ(6.0 / 11, timeline.at_peak.fragmentation());
	EXPECT_EQ(2 * kPage, timeline.at_end.live_bytes);
	EXPECT_EQ(2 * kPage, timeline.at_end.footprint_bytes);
}

TEST(TimelineTest, AnAddressTakenOverInTheSameTickIsLiveOnce)
{
	const Timeline timeline = RunBuilder().range(10, 1, 5, 0).range(10, 1, 1, 5).timeline();
	EXPECT_EQ(kPage, timeline.at_peak.live_bytes);
	EXPECT_EQ(kPage, timeline.touched_bytes);
}

TEST(TimelineTest, ClocksOfTwoCoresMayDiffer)
{
	const Timeline timeline = RunBuilder().range(10, 1, 5, 4).range(10, 1, 7, 7).timeline();
	EXPECT_EQ(kPage, timeline.at_peak.live_bytes);
	EXPECT_EQ(0u, timeline.at_end.live_bytes);
}

TEST(TimelineTest, SurvivesOverlaps)
{
	const Timeline timeline = RunBuilder().range(10, 4, 1, 4).range(10, 4, 2, 3).timeline();
	EXPECT_EQ(8 * kPage, timeline.at_peak.live_bytes);
	EXPECT_EQ(4 * kPage, timeline.peak_footprint_bytes);
	EXPECT_EQ(0u, timeline.at_end.live_bytes);
}

}  // namespace
}  // namespace iovad::perf
