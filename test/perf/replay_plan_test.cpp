// SPDX-License-Identifier: BSD-3-Clause
#include "replay/replay_plan.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

#include "progress.h"
#include "temp_file.h"
#include "trace/trace_parser.h"

namespace iovad::perf {
namespace {

constexpr uint64_t kPage = 4096;

// A trace, page by page: each call is one event, in a line of its own.
class TraceBuilder {
public:
	TraceBuilder &map(uint64_t page, uint64_t pages, uint16_t cpu = 0)
	{
		return add(EventKind::map, page, pages, cpu);
	}
	TraceBuilder &unmap(uint64_t page, uint64_t pages, uint16_t cpu = 0)
	{
		return add(EventKind::unmap, page, pages, cpu);
	}
	Plan plan() const { return make_plan(trace_); }

private:
	TraceBuilder &add(EventKind kind, uint64_t page, uint64_t pages, uint16_t cpu)
	{
		trace_.lines++;
		trace_.events.push_back({page * kPage, pages * kPage, 0,
					 static_cast<uint32_t>(trace_.lines), cpu, kind});
		return *this;
	}

	Trace trace_;
};

// Slots as "alloc line-free line:pages", in order.
std::vector<std::string> slots_of(const Plan &plan)
{
	std::vector<std::string> out;
	for (const Slot &slot : plan.slots)
		out.push_back(std::to_string(slot.alloc_line) + "-" + std::to_string(slot.free_line) +
			      ":" + std::to_string(slot.size / kPage));
	return out;
}

using Slots = std::vector<std::string>;

TEST(ReplayPlanTest, PairsMapAndUnmap)
{
	const Plan plan =
		TraceBuilder().map(10, 1, 0).map(20, 2, 3).unmap(20, 2, 0).unmap(10, 1, 0).plan();
	EXPECT_EQ((Slots{"1-4:1", "2-3:2"}), slots_of(plan));
	EXPECT_EQ((std::vector<uint16_t>{0, 3}), plan.cpus);
	EXPECT_EQ(1u, plan.slots[1].alloc_cpu);
	EXPECT_EQ(0u, plan.slots[1].free_cpu);
	EXPECT_EQ(1u, plan.counts.cross_cpu);
	EXPECT_EQ(2u, plan.counts.allocs);
	EXPECT_EQ(2u, plan.counts.frees);
	EXPECT_EQ(2u, plan.counts.peak_live);
	EXPECT_EQ(3 * kPage, plan.counts.peak_live_bytes);
}

TEST(ReplayPlanTest, OpsFollowTheTrace)
{
	const Plan plan = TraceBuilder()
				  .map(1, 1, 0)
				  .map(2, 1, 1)
				  .unmap(2, 1, 0)
				  .unmap(1, 1, 1)
				  .map(2, 1, 0)
				  .plan();
	const Op expected[] = {{0, 0, false}, {1, 1, false}, {1, 0, true}, {0, 1, true}, {2, 0, false}};
	ASSERT_EQ(std::size(expected), plan.ops.size());
	for (size_t i = 0; i < plan.ops.size(); i++) {
		EXPECT_EQ(expected[i].slot, plan.ops[i].slot) << i;
		EXPECT_EQ(expected[i].cpu, plan.ops[i].cpu) << i;
		EXPECT_EQ(expected[i].is_free, plan.ops[i].is_free) << i;
	}
}

TEST(ReplayPlanTest, MapsOfOneUnmapAreOneAllocation)
{
	const Plan plan = TraceBuilder()
				  .map(8, 2)
				  .map(10, 1)
				  .map(100, 1, 1)
				  .map(11, 5)
				  .unmap(100, 1)
				  .unmap(8, 8)
				  .plan();
	EXPECT_EQ((Slots{"1-6:8", "3-5:1"}), slots_of(plan));
	EXPECT_EQ(1u, plan.counts.multi);
	EXPECT_EQ(0u, plan.counts.partial);
}

TEST(ReplayPlanTest, AnUnmapOfWhatWasMappedBeforeIsUnmatched)
{
	const Plan plan = TraceBuilder().unmap(5, 1).map(5, 1).unmap(5, 1).unmap(5, 1).plan();
	EXPECT_EQ((Slots{"2-3:1"}), slots_of(plan));
	EXPECT_EQ(2u, plan.counts.unmatched);
}

TEST(ReplayPlanTest, WhatIsNeverUnmappedStaysLive)
{
	const Plan plan = TraceBuilder().map(5, 1).map(6, 1).unmap(5, 1).plan();
	EXPECT_EQ((Slots{"1-3:1", "2-0:1"}), slots_of(plan));
	EXPECT_EQ(1u, plan.counts.live_at_end);
}

TEST(ReplayPlanTest, TwoDomainsMayUseOneAddress)
{
	const Plan plan = TraceBuilder()
				  .map(8, 4)
				  .map(10, 1)
				  .unmap(10, 1)
				  .map(8, 4)
				  .unmap(8, 4)
				  .unmap(8, 4)
				  .plan();
	EXPECT_EQ((Slots{"1-5:4", "2-3:1", "4-6:4"}), slots_of(plan));
	EXPECT_EQ(2u, plan.counts.remapped);
	EXPECT_EQ(0u, plan.counts.partial + plan.counts.unmatched);
}

TEST(ReplayPlanTest, ATilingIsFoundAroundMapsOfAnotherDomain)
{
	// [8,16) in three maps; another domain has [8,11) and [10,13), which lead nowhere.
	const Plan plan =
		TraceBuilder().map(8, 3).map(8, 2).map(10, 2).map(10, 3).map(12, 4).unmap(8, 8).plan();
	EXPECT_EQ(1u, plan.counts.multi);
	EXPECT_EQ((Slots{"1-0:3", "2-6:8", "4-0:3"}), slots_of(plan));
}

TEST(ReplayPlanTest, ASingleMapIsPreferredToATiling)
{
	const Plan plan = TraceBuilder().map(8, 1).map(9, 1).map(8, 2).unmap(8, 2).plan();
	EXPECT_EQ((Slots{"1-0:1", "2-0:1", "3-4:2"}), slots_of(plan));
	EXPECT_EQ(0u, plan.counts.multi);
}

TEST(ReplayPlanTest, AMapUnmappedInPartsIsFreedWithTheLast)
{
	const Plan plan =
		TraceBuilder().map(8, 8).unmap(10, 2).unmap(8, 2).unmap(14, 2).unmap(12, 2).plan();
	EXPECT_EQ((Slots{"1-5:8"}), slots_of(plan));
	EXPECT_EQ(4u, plan.counts.partial);
	EXPECT_EQ(0u, plan.counts.unmatched);
}

TEST(ReplayPlanTest, PartsAlreadyUnmappedAreNotUnmappedAgain)
{
	const Plan plan = TraceBuilder().map(8, 4).unmap(9, 1).unmap(9, 1).unmap(8, 4).plan();
	EXPECT_EQ((Slots{"1-4:4"}), slots_of(plan));
	EXPECT_EQ(2u, plan.counts.partial);
	EXPECT_EQ(1u, plan.counts.unmatched);
}

TEST(ReplayPlanTest, AnUnmapOverHolesFreesEachMapItCompletes)
{
	const Plan plan =
		TraceBuilder().map(8, 1).map(10, 1).map(12, 4).unmap(8, 6).unmap(0, 100).plan();
	EXPECT_EQ((Slots{"1-4:1", "2-4:1", "3-5:4"}), slots_of(plan));
	EXPECT_EQ(2u, plan.counts.partial);
}

TEST(ReplayPlanTest, ALongTilingNeedsNoLongSearch)
{
	TraceBuilder trace;
	constexpr uint64_t kPages = 100000;
	for (uint64_t i = 0; i < kPages; i++)
		trace.map(i, 1).map(i, 1);
	const Plan plan = trace.unmap(0, kPages).unmap(0, kPages + 1).plan();
	EXPECT_EQ(1u, plan.counts.multi);
	EXPECT_EQ(1u, plan.counts.partial);
	EXPECT_EQ(kPages + 1, plan.counts.allocs);
	EXPECT_EQ(kPages + 1, plan.counts.frees);
}

Plan plan_of(const char *name)
{
	Progress silent(Progress::Mode::silent);
	return make_plan(read_trace(test::trace_path(name), silent));
}

TEST(ReplayPlanTest, RealTracesMatchWithoutRemainder)
{
	const PlanCounts iperf = plan_of("e1000e-iperf3-strict.ftrace.xz").counts;
	EXPECT_EQ(59993u, iperf.maps);
	EXPECT_EQ(60007u, iperf.unmaps);
	EXPECT_EQ(59502u, iperf.frees);
	EXPECT_EQ(505u, iperf.unmatched);
	EXPECT_EQ(491u, iperf.live_at_end);
	EXPECT_EQ(0u, iperf.partial);

	const PlanCounts fio = plan_of("nvme-fio-strict.ftrace.xz").counts;
	EXPECT_EQ(80459u, fio.maps);
	EXPECT_EQ(75117u, fio.unmaps);
	EXPECT_EQ(75117u, fio.frees);
	EXPECT_EQ(2476u, fio.multi);
	EXPECT_EQ(1u, fio.live_at_end);
	EXPECT_EQ(0u, fio.unmatched + fio.partial + fio.remapped);
}

// A plan can be followed: every free after its alloc, once, and each cpu's ops in order.
TEST(ReplayPlanTest, RandomTracesGivePlansThatCanBeFollowed)
{
	constexpr unsigned kSeed = 20260117;
	std::mt19937 random(kSeed);
	const auto below = [&](unsigned n) {
		return std::uniform_int_distribution<unsigned>(0, n - 1)(random);
	};
	for (unsigned round = 0; round < 200; round++) {
		TraceBuilder trace;
		const unsigned events = 1 + below(200);
		uint64_t mapped_bytes = 0;
		for (unsigned i = 0; i < events; i++) {
			const uint16_t cpu = static_cast<uint16_t>(below(3));
			const unsigned page = below(32), pages = 1 + below(8);
			if (below(2) == 0) {
				trace.map(page, pages, cpu);
				mapped_bytes += pages * kPage;
			} else {
				trace.unmap(page, pages, cpu);
			}
		}
		const Plan plan = trace.plan();
		const PlanCounts &counts = plan.counts;
		std::set<uint32_t> live, freed;
		for (const Op &op : plan.ops) {
			const std::string where =
				"seed " + std::to_string(kSeed) + " round " + std::to_string(round);
			if (op.is_free) {
				ASSERT_EQ(1u, live.erase(op.slot)) << where;
				ASSERT_EQ(op.cpu, plan.slots[op.slot].free_cpu) << where;
			} else {
				ASSERT_TRUE(live.insert(op.slot).second && freed.insert(op.slot).second)
					<< where;
				ASSERT_EQ(op.cpu, plan.slots[op.slot].alloc_cpu) << where;
			}
		}
		EXPECT_EQ(counts.live_at_end, live.size());
		EXPECT_EQ(counts.allocs, plan.slots.size());
		EXPECT_EQ(counts.maps + counts.unmaps, events);
		EXPECT_LE(counts.allocs, counts.maps);
		// Every mapped byte is part of exactly one allocation.
		uint64_t slot_bytes = 0;
		for (const Slot &slot : plan.slots)
			slot_bytes += slot.size;
		EXPECT_EQ(mapped_bytes, slot_bytes) << "seed " << kSeed << " round " << round;
	}
}

}  // namespace
}  // namespace iovad::perf
