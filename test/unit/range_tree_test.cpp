// SPDX-License-Identifier: BSD-3-Clause
// The ladder: empty, one range, a root leaf, a split, two levels and more; and what the
// theory in range_tree.h promises.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tree_fixture.h"

namespace iovad::core {
namespace {

constexpr Pfn kNoLimit = ~Pfn{0};

TEST(RangeTreeTest, EmptyIsOneGap)
{
	OwnedTree t(1, 1000, 8);
	EXPECT_EQ(t.tree.find(1), (Extent{1, 1000, 0}));
	EXPECT_EQ(t.tree.find(999), (Extent{1, 1000, 0}));
	EXPECT_EQ(t.tree.largest_gap(), 999u);
	EXPECT_EQ(t.tree.free_granules(), 999u);
	EXPECT_TRUE(t.tree.verify(stderr));
}

TEST(RangeTreeTest, OneRangeAtTheTop)
{
	OwnedTree t(1, 1000, 8);
	const Placement p = t.tree.alloc(10, 1, kNoLimit, 1);
	ASSERT_EQ(p.status, Status::ok);
	EXPECT_EQ(p.start, 990u);
	EXPECT_EQ(t.tree.find(995), (Extent{990, 1000, 1}));
	EXPECT_EQ(t.tree.find(989), (Extent{1, 990, 0}));
	EXPECT_EQ(t.tree.erase(990, 1000, 1), Status::ok);
	EXPECT_EQ(t.tree.find(995), (Extent{1, 1000, 0}));
	EXPECT_TRUE(t.tree.verify(stderr));
}

TEST(RangeTreeTest, TheWholeSpaceAsOneRange)
{
	OwnedTree t(1, 1000, 8);
	EXPECT_EQ(t.tree.alloc(1000, 1, kNoLimit, 1).status, Status::no_space);
	const Placement p = t.tree.alloc(999, 1, kNoLimit, 1);
	ASSERT_EQ(p.status, Status::ok);
	EXPECT_EQ(p.start, 1u);
	EXPECT_TRUE(t.tree.refuses(1, 1));
	EXPECT_EQ(t.tree.alloc(1, 1, kNoLimit, 1).status, Status::no_space);
	EXPECT_TRUE(t.tree.verify(stderr));
	EXPECT_EQ(t.tree.erase(1, 1000, 1), Status::ok);
	EXPECT_TRUE(t.tree.verify(stderr));
}

TEST(RangeTreeTest, WhatIsFullBelowTheBorderIsNotSearched)
{
	OwnedTree t(1, 31, 8);
	ASSERT_EQ(t.tree.claim(3, 15, 1), Status::ok);  // the border is 11
	const uint64_t searches = t.tree.searches();
	EXPECT_EQ(t.tree.alloc(3, 1, 10, 1).status, Status::no_space);
	EXPECT_EQ(t.tree.searches(), searches);
	EXPECT_EQ(t.tree.alloc(3, 1, 11, 1).status, Status::no_space);
	EXPECT_EQ(t.tree.searches(), searches + 1);
	EXPECT_EQ(t.tree.alloc(2, 1, 10, 1).start, 1u);
	EXPECT_EQ(t.tree.erase(3, 15, 1), Status::ok);
	EXPECT_EQ(t.tree.alloc(8, 1, 10, 1).start, 3u);
	EXPECT_TRUE(t.tree.verify(stderr));
}

// Fills, then frees in the given order, and verifies at every step.
void fill_and_free(Pfn first, uint64_t count, bool with_holes, int order)
{
	OwnedTree t(first, first + 3 * count + 10, RangeTree::nodes_for(count));
	std::vector<Pfn> starts;
	for (uint64_t i = 0; i < count; ++i) {
		Placement p = {Status::ok, first + 2 * i};
		if (with_holes)
			p.status = t.tree.claim(p.start, p.start + 1, 1);
		else
			p = t.tree.alloc(1, 1, kNoLimit, 1);
		ASSERT_EQ(p.status, Status::ok);
		starts.push_back(p.start);
		ASSERT_TRUE(t.tree.verify(stderr));
	}
	if (order == 1)
		std::reverse(starts.begin(), starts.end());
	if (order == 2) {
		Random random(count);
		for (size_t i = starts.size(); i > 1; --i)
			std::swap(starts[i - 1], starts[random.below(i)]);
	}
	for (const Pfn start : starts) {
		ASSERT_EQ(t.tree.find(start), (Extent{start, start + 1, 1}));
		ASSERT_EQ(t.tree.erase(start, start + 1, 1), Status::ok);
		ASSERT_TRUE(t.tree.verify(stderr));
	}
	EXPECT_EQ(t.pool.used(), 1u);
	EXPECT_EQ(t.tree.height(), 0u);
}

// One leaf, a split root, two levels, three; in one frame and across the border of two.
TEST(RangeTreeTest, GrowsAndShrinksThroughEveryHeight)
{
	for (const uint64_t count : {2, 28, 57, 58, 120, 900, 3000}) {
		for (const Pfn first : {Pfn{1}, kFrame - count}) {
			for (const bool with_holes : {false, true}) {
				for (const int order : {0, 1, 2}) {
					SCOPED_TRACE(testing::Message() << count << " ranges from " << first << ", holes "
									<< with_holes << ", order " << order);
					fill_and_free(first, count, with_holes, order);
					ASSERT_FALSE(testing::Test::HasFatalFailure());
				}
			}
		}
	}
}

// A range across each border, what is between them to the last granule, and as one in the end.
TEST(RangeTreeTest, ExtentsCrossFromFrameToFrame)
{
	OwnedTree t(1, 4 * kFrame, 64);
	for (Pfn border = kFrame; border < 4 * kFrame; border += kFrame) {
		ASSERT_EQ(t.tree.claim(border - 2, border + 2, 1), Status::ok);
		ASSERT_TRUE(t.tree.verify(stderr));
	}
	EXPECT_EQ(t.tree.find(2 * kFrame), (Extent{2 * kFrame - 2, 2 * kFrame + 2, 1}));
	EXPECT_EQ(t.tree.find(2 * kFrame - 2), (Extent{2 * kFrame - 2, 2 * kFrame + 2, 1}));
	EXPECT_EQ(t.tree.find(2 * kFrame + 2), (Extent{2 * kFrame + 2, 3 * kFrame - 2, 0}));
	EXPECT_EQ(t.tree.alloc(kFrame, kFrame, kNoLimit, 1).status, Status::no_space);
	EXPECT_EQ(t.tree.alloc(kFrame / 2, kFrame / 2, kNoLimit, 2).start, 3 * kFrame + kFrame / 2);
	EXPECT_EQ(t.tree.alloc(kFrame / 2, kFrame / 2, kNoLimit, 2).status, Status::no_space);
	for (const Pfn top : {4 * kFrame, 3 * kFrame, 2 * kFrame, kFrame}) {
		const Extent gap = t.tree.find(top - kFrame + 2);
		ASSERT_EQ(gap.value, 0);
		const Placement p = t.tree.alloc(gap.end - gap.start, 1, kNoLimit, 3);
		ASSERT_EQ(p.start, gap.start);
		ASSERT_TRUE(t.tree.verify(stderr));
	}
	EXPECT_EQ(t.tree.free_granules(), 0u);
	for (Pfn pfn = 1; pfn < 4 * kFrame;) {
		const Extent e = t.tree.find(pfn);
		ASSERT_EQ(t.tree.erase(e.start, e.end, e.value), Status::ok);
		ASSERT_TRUE(t.tree.verify(stderr));
		pfn = e.end;
	}
	EXPECT_EQ(t.tree.find(1), (Extent{1, 4 * kFrame, 0}));
	EXPECT_EQ(t.pool.used(), 1u);
	EXPECT_EQ(t.tree.alloc(2 * kFrame, 2 * kFrame, kNoLimit, 1).start, 2 * kFrame);
	EXPECT_EQ(t.tree.alloc(kFrame, kFrame, 2 * kFrame - 1, 1).start, kFrame);
	EXPECT_TRUE(t.tree.verify(stderr));
}

TEST(RangeTreeTest, CoalescesWithBothNeighbours)
{
	OwnedTree t(1, 101, 8);
	for (const Pfn s : {10, 20, 30})
		ASSERT_EQ(t.tree.claim(s, s + 10, 1), Status::ok);
	EXPECT_EQ(t.tree.erase(10, 20, 1), Status::ok);
	EXPECT_EQ(t.tree.find(15), (Extent{1, 20, 0}));
	EXPECT_EQ(t.tree.erase(30, 40, 1), Status::ok);
	EXPECT_EQ(t.tree.find(35), (Extent{30, 101, 0}));
	EXPECT_EQ(t.tree.erase(20, 30, 1), Status::ok);
	EXPECT_EQ(t.tree.find(25), (Extent{1, 101, 0}));
	EXPECT_TRUE(t.tree.verify(stderr));
}

// An exact test for whole children: beside the child that the limit cuts, no leaf is
// visited in vain.
TEST(RangeTreeTest, NaturalRequestsTakeTwoDescentsAtMost)
{
	constexpr Pfn kEnd = 1 << 20;
	OwnedTree t(1, kEnd, RangeTree::nodes_for(60000));
	Random random(7);
	std::vector<Extent> live;
	for (int i = 0; i < 20000; ++i) {
		const uint64_t n = 1 + random.below(32);
		const Placement p = t.tree.alloc(n, std::bit_ceil(n), kNoLimit, 1);
		ASSERT_EQ(p.status, Status::ok);
		live.push_back({p.start, p.start + n, 1});
	}
	for (size_t i = 0; i < live.size(); i += 2)
		ASSERT_EQ(t.tree.erase(live[i].start, live[i].end, 1), Status::ok);
	ASSERT_GE(t.tree.height(), 2u);
	uint64_t worst = 0;
	for (int i = 0; i < 20000; ++i) {
		const uint64_t n = 1 + random.below(200);
		const uint64_t align = random.below(4) ? std::bit_ceil(n) : 1;
		const uint64_t before = t.tree.leaves_visited();
		const Placement p = t.tree.alloc(n, align, random.below(kEnd), 1);
		worst = std::max(worst, t.tree.leaves_visited() - before);
		if (p.status == Status::ok) {
			ASSERT_EQ(t.tree.erase(p.start, p.start + n, 1), Status::ok);
		}
	}
	EXPECT_EQ(worst, 2u);
}

// Trap: aggregates of 32 bits saturate; what lies beyond is found all the same.
TEST(RangeTreeTest, FindsGapsBeyondTheSaturatedSummary)
{
	OwnedTree t(1, kMaxPfn, 256);
	constexpr uint64_t kBig = uint64_t{1} << 40;
	// Gaps of 2^33 below and one of 2^41 further below: both saturate.
	for (int i = 1; i <= 100; ++i) {
		const Pfn at = kMaxPfn - i * (uint64_t{1} << 33);
		ASSERT_EQ(t.tree.claim(at, at + 1, 1), Status::ok);
	}
	const Placement p = t.tree.alloc(kBig, 1, kNoLimit, 1);
	ASSERT_EQ(p.status, Status::ok);
	EXPECT_EQ(p.start, kMaxPfn - 100 * (uint64_t{1} << 33) - kBig);
	EXPECT_EQ(t.tree.largest_gap(), p.start - 1);
	EXPECT_TRUE(t.tree.verify(stderr));
}

TEST(RangeTreeTest, WithoutNodesNothingChanges)
{
	OwnedTree t(1, 100000, 4);
	uint64_t live = 0;
	Placement p;
	while ((p = t.tree.alloc(1, 2, kNoLimit, 1)).status == Status::ok)
		++live;
	EXPECT_EQ(p.status, Status::again);
	EXPECT_EQ(t.tree.ranges(), live);
	EXPECT_TRUE(t.tree.verify(stderr));
	// Transient: what needs no node goes on, and room comes back with the first merge.
	EXPECT_EQ(t.tree.claim(99999, 100000, 1), Status::ok) << "fills a gap exactly";
	EXPECT_EQ(t.tree.erase(99998, 99999, 1), Status::ok);
	EXPECT_TRUE(t.tree.verify(stderr));
}

TEST(RangeTreeTest, MetadataPerRange)
{
	constexpr uint64_t kRanges = 100000;
	OwnedTree packed(1, uint64_t{1} << 30, RangeTree::nodes_for(kRanges));
	for (uint64_t i = 0; i < kRanges; ++i)
		ASSERT_EQ(packed.tree.alloc(1, 1, kNoLimit, 1).status, Status::ok);
	EXPECT_LE(packed.pool.used() * double{kNodeBytes} / kRanges, 16.0);

	// At worst every range has a gap: replace at random until it is so.
	OwnedTree holes(1, uint64_t{1} << 30, RangeTree::nodes_for(kRanges));
	Random random(3);
	std::vector<Extent> live;
	while (live.size() < kRanges) {
		const Pfn at = 1 + random.below((uint64_t{1} << 30) - 64);
		if (holes.tree.claim(at, at + 1 + random.below(32), 1) == Status::ok)
			live.push_back(holes.tree.find(at));
	}
	EXPECT_LE(holes.pool.used() * double{kNodeBytes} / kRanges, 32.0);
	EXPECT_TRUE(holes.tree.verify(stderr));
}

// The verifier must be able to fail, or the tests above show nothing.
TEST(RangeTreeTest, VerifySeesDamage)
{
	OwnedTree t(1, 100000, 128);
	for (int i = 0; i < 1000; ++i)
		ASSERT_EQ(t.tree.alloc(1, 2, kNoLimit, 1).status, Status::ok);
	ASSERT_GE(t.tree.height(), 1u);
	ASSERT_TRUE(t.tree.verify(nullptr));
	unsigned seen = 0, places = 0;
	// The nodes in use are the first ones of the pool: flip what lies in some of them.
	for (NodeRef ref = 0; ref < static_cast<NodeRef>(t.pool.used()); ++ref) {
		for (const size_t offset : {size_t{0}, size_t{8}, size_t{196}, size_t{292}}) {
			auto *byte = reinterpret_cast<unsigned char *>(&t.pool.leaf(ref)) + offset;
			*byte ^= 0x20;
			seen += !t.tree.verify(nullptr);
			++places;
			*byte ^= 0x20;
		}
	}
	EXPECT_TRUE(t.tree.verify(nullptr));
	// Stale first keys and lanes beyond n are nobody's business.
	EXPECT_GT(seen, places / 2);
}

}  // namespace
}  // namespace iovad::core
