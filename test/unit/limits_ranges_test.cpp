// SPDX-License-Identifier: BSD-3-Clause
// Ten million live ranges in one space.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "domain_fixture.h"

namespace iovad::core {
namespace {

constexpr uint64_t kMillions = 10'000'000;
constexpr Pfn kNoLimit = ~Pfn{0};

double bytes_per_range(const OwnedTree &t)
{
	return static_cast<double>(t.pool.used()) * kNodeBytes / static_cast<double>(t.tree.ranges());
}

void expect_one_gap(const OwnedTree &t)
{
	EXPECT_EQ(t.tree.find(t.tree.first()), (Extent{t.tree.first(), t.tree.end(), 0}));
	EXPECT_EQ(t.pool.used(), 1u);
	EXPECT_EQ(t.tree.height(), 0u);
	EXPECT_TRUE(t.tree.verify(stderr));
}

// Holes of one granule everywhere, and of three in a few places: what needs more than one granule
// has these to go to, and no others.
TEST(LimitsRangesTest, AmongTenMillionSideBySideTheFewHolesThatFitAreFound)
{
	OwnedTree t(1, kMillions + 1, RangeTree::nodes_for(kMillions));
	for (Pfn p = kMillions; p >= 1; --p)
		ASSERT_EQ(t.tree.alloc(1, 1, kNoLimit, 1).start, p);
	EXPECT_EQ(t.tree.ranges(), kMillions);
	EXPECT_EQ(t.tree.alloc(1, 1, kNoLimit, 1).status, Status::no_space);
	EXPECT_LT(bytes_per_range(t), 9);
	for (Pfn p = 1; p <= kMillions; p += 2)
		ASSERT_EQ(t.tree.erase(p, p + 1, 1), Status::ok);
	EXPECT_LT(bytes_per_range(t), 18);
	EXPECT_EQ(t.tree.alloc(2, 1, kNoLimit, 1).status, Status::no_space);

	constexpr Pfn kApart = 99'990, kHoles = 100;
	for (Pfn i = 1; i <= kHoles; ++i)
		ASSERT_EQ(t.tree.erase(kApart * i, kApart * i + 1, 1), Status::ok);
	EXPECT_EQ(t.tree.largest_gap(), 3u);
	EXPECT_TRUE(t.tree.verify(stderr));
	EXPECT_EQ(t.tree.alloc(4, 1, kNoLimit, 1).status, Status::no_space);
	EXPECT_EQ(t.tree.alloc(3, 4, kNoLimit, 1).status, Status::no_space) << "none begins at a multiple of 4";
	EXPECT_EQ(t.tree.alloc(2, 2, kApart, 1).status, Status::no_space) << "the limit cuts the lowest";
	const uint64_t leaves = t.tree.leaves_visited();
	for (Pfn i = 50; i > 0; --i) {
		ASSERT_EQ(t.tree.alloc(3, 1, kApart * 50 + 1, 1).start, kApart * i - 1) << "the highest below the limit";
		ASSERT_EQ(t.tree.alloc(2, 2, kNoLimit, 1).start, kApart * (i + 50)) << "the highest of all";
	}
	EXPECT_LE(t.tree.leaves_visited() - leaves, kHoles * 2) << "two descents at most";
	EXPECT_EQ(t.tree.alloc(2, 1, kNoLimit, 1).status, Status::no_space);
	EXPECT_TRUE(t.tree.verify(stderr));

	for (Pfn p = 1; p <= kMillions;) {
		const Extent e = t.tree.find(p);
		if (e.value != 0) {
			ASSERT_EQ(t.tree.erase(e.start, e.end, 1), Status::ok);
		}
		p = e.end;
	}
	expect_one_gap(t);
}

// A gap below each: as many keys as there can be. What max_ranges counts on has to do.
TEST(LimitsRangesTest, TenMillionApartNeedNoMoreThanTheirNodesAndGoInAnyOrder)
{
	OwnedTree t(1, 2 * kMillions + 1, RangeTree::nodes_for(kMillions));
	for (Pfn p = 2 * kMillions; p >= 2; p -= 2)
		ASSERT_EQ(t.tree.claim(p, p + 1, 1), Status::ok);
	EXPECT_EQ(t.tree.ranges(), kMillions);
	EXPECT_LT(bytes_per_range(t), 18);
	EXPECT_EQ(t.tree.free_granules(), kMillions);
	EXPECT_TRUE(t.tree.verify(stderr));
	constexpr uint64_t kStride = 7;  // seven times through all leaves
	for (uint64_t i = 0, at = 0; i < kMillions; ++i, at = (at + kStride) % kMillions)
		ASSERT_EQ(t.tree.erase(2 * at + 2, 2 * at + 3, 1), Status::ok);
	expect_one_gap(t);
}

TEST(LimitsRangesTest, TenMillionThroughCachesAreAllThereIs)
{
	constexpr uint64_t kPage = OwnedDomain::kGranule, kFirst = uint64_t{1} << 40;
	DomainConfig config = OwnedDomain::config(0, kMillions);
	config.geometry = Geometry::of(kPage, kFirst, kFirst + kMillions * kPage - 1);
	OwnedDomain d(config);
	constexpr unsigned kLcores = 32, kBulk = 1000;
	std::vector<uint64_t> a(kMillions);
	for (uint64_t i = 0; i < kMillions; i += kBulk)
		ASSERT_EQ(d.domain.alloc_bulk(i / kBulk % kLcores, kPage, ~uint64_t{0}, &a[i], kBulk), Status::ok);
	uint64_t iova;
	EXPECT_EQ(d.domain.alloc(0, kPage, ~uint64_t{0}, iova), Status::no_space);
	EXPECT_EQ(d.domain.stats().live_ranges, kMillions);
	EXPECT_EQ(d.domain.stats().cached_ranges, 0u);
	std::vector<bool> taken(kMillions);
	for (const uint64_t each : a)
		taken[(each - kFirst) / kPage] = true;
	EXPECT_EQ(std::count(taken.begin(), taken.end(), true), static_cast<ptrdiff_t>(kMillions));

	for (uint64_t i = 0; i < kMillions; i += kBulk)
		ASSERT_EQ(d.domain.free_bulk(i / kBulk % 7, &a[i], kPage, kBulk), Status::ok);
	EXPECT_EQ(d.domain.stats().live_ranges, 0u);
	EXPECT_TRUE(d.domain.verify(stderr));
	d.domain.reclaim();
	EXPECT_EQ(d.domain.stats().largest_gap, kMillions);
	EXPECT_EQ(d.domain.stats().tree_nodes, 1u);
	EXPECT_EQ(d.domain.stats().bad_frees, 0u);
}

}  // namespace
}  // namespace iovad::core
