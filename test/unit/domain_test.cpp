// SPDX-License-Identifier: BSD-3-Clause
// Caches, depot and reclaim of one domain, on simulated lcores of one thread.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "domain_fixture.h"

namespace iovad::core {
namespace {

constexpr uint64_t kPage = OwnedDomain::kGranule;
constexpr uint64_t kNoLimit = ~uint64_t{0};
constexpr uint64_t kLow = k4GiB - 1;

uint64_t take(OwnedDomain &d, unsigned lcore, uint64_t len = kPage, uint64_t limit = kNoLimit)
{
	uint64_t iova = 0;
	EXPECT_EQ(d.domain.alloc(lcore, len, limit, iova), Status::ok);
	return iova;
}

TEST(DomainTest, AFreedAddressIsHandedOutAgainByTheSameLcore)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 48) - 1));
	const uint64_t a = take(d, 0);
	const uint64_t tree_allocs = d.domain.stats().tree_allocs;
	for (int i = 0; i < 1000; ++i) {
		ASSERT_EQ(d.domain.free(0, a, kPage), Status::ok);
		ASSERT_EQ(take(d, 0), a);
	}
	EXPECT_EQ(d.domain.stats().tree_allocs, tree_allocs);
	EXPECT_EQ(d.domain.stats().cache_hits, 1000u);
	EXPECT_EQ(d.domain.free(0, a, kPage), Status::ok);
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(DomainTest, EveryClassIsNaturallyAlignedAndExclusive)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 40) - 1));
	std::vector<std::pair<uint64_t, uint64_t>> live;
	for (uint64_t pages = 1; pages <= 200; ++pages) {
		const uint64_t block = block_of(pages) * kPage;
		for (const uint64_t limit : {kNoLimit, kLow, (uint64_t{1} << 36) + 12345}) {
			const uint64_t a = take(d, static_cast<unsigned>(pages % 5), pages * kPage, limit);
			EXPECT_EQ(a % (std::bit_ceil(pages) * kPage), 0u);
			EXPECT_LE(a + block - 1, limit);
			live.emplace_back(a, pages * kPage);
		}
	}
	std::sort(live.begin(), live.end());
	for (size_t i = 1; i < live.size(); ++i)
		ASSERT_LE(live[i - 1].first + live[i - 1].second, live[i].first);
	EXPECT_EQ(d.domain.stats().live_ranges, live.size());
	EXPECT_TRUE(d.domain.verify(stderr));
	for (const auto &[iova, len] : live)
		ASSERT_EQ(d.domain.free(7, iova, len), Status::ok);
	EXPECT_EQ(d.domain.stats().live_ranges, 0u);
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(DomainTest, LimitsInsideAZoneAreHonouredExactly)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 48) - 1));
	for (int i = 0; i < 100; ++i)
		d.domain.free(0, take(d, 0, kPage, kLow), kPage);
	std::vector<uint64_t> live;
	for (const uint64_t limit : {uint64_t{1} << 24, uint64_t{1} << 31, (uint64_t{1} << 33) - 1,
				     (uint64_t{1} << 39) - 1, 3 * kPage - 1, 3 * kPage - 2}) {
		const uint64_t a = take(d, 0, kPage, limit);
		EXPECT_EQ(a, (limit + 1) / kPage * kPage - kPage) << "the highest under " << limit;
		live.push_back(a);
	}
	for (const uint64_t a : live)
		EXPECT_EQ(d.domain.free(0, a, kPage), Status::ok);
	// What is cached now lies anywhere: a limit still holds.
	for (const uint64_t limit : {uint64_t{1} << 24, uint64_t{1} << 31, (uint64_t{1} << 39) - 1})
		EXPECT_LE(take(d, 0, kPage, limit) + kPage - 1, limit);
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(DomainTest, WholeMagazinesPassThroughTheDepot)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 40) - 1));
	std::vector<uint64_t> a(2000);
	const auto round = [&] {
		for (uint64_t &iova : a)
			iova = take(d, 1);
		for (const uint64_t iova : a)
			ASSERT_EQ(d.domain.free(2, iova, kPage), Status::ok);
	};
	// What each lcore keeps at the end of a round has come together after some of them.
	for (int i = 0; i < 8; ++i)
		round();
	const DomainStats before = d.domain.stats();
	round();
	const DomainStats after = d.domain.stats();
	EXPECT_EQ(after.tree_allocs, before.tree_allocs);
	EXPECT_GE(after.depot_hits, before.depot_hits + 2000 / (2 * Magazine::kSlots) - 2);
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(DomainTest, WhatTheDepotDoesNotNeedGoesBackToTheTree)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 40) - 1));
	std::vector<uint64_t> a(6000);
	for (uint64_t &iova : a)
		iova = take(d, 1);
	ASSERT_EQ(d.domain.free_bulk(1, a.data(), kPage, 6000), Status::ok);
	const uint64_t peak = d.domain.stats().cached_ranges;
	ASSERT_GT(peak, 3000u);
	// A small working set, exchanged often: most of the depot is surplus.
	d.domain.end_period();
	for (int i = 0; i < 2000; ++i) {
		uint64_t some[400];
		ASSERT_EQ(d.domain.alloc_bulk(1, kPage, kNoLimit, some, 400), Status::ok);
		ASSERT_EQ(d.domain.free_bulk(1, some, kPage, 400), Status::ok);
	}
	EXPECT_EQ(d.domain.stats().cached_ranges, peak) << "by no lcore";
	d.domain.end_period();
	while (d.domain.trim(4).magazines == 4)
		;
	EXPECT_LT(d.domain.stats().cached_ranges, 1500u);
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(DomainTest, WhoGoesOneWayExchangesTwoMagazinesAtOnce)
{
	constexpr unsigned kVisits = 20, kBoth = 2 * Magazine::kSlots;
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 48) - 1));
	std::vector<uint64_t> a(10 * kBoth);
	ASSERT_EQ(d.domain.alloc_bulk(0, kPage, kNoLimit, a.data(), a.size()), Status::ok);
	ASSERT_EQ(d.domain.free_bulk(1, a.data(), kPage, a.size()), Status::ok);
	const auto hand_over = [&](unsigned n) {
		uint64_t iova;
		for (unsigned i = 0; i < n; ++i) {
			ASSERT_EQ(d.domain.alloc(0, kPage, kNoLimit, iova), Status::ok);
			ASSERT_EQ(d.domain.free(1, iova, kPage), Status::ok);
		}
	};
	hand_over(3 * kBoth);
	const DomainStats before = d.domain.stats();
	hand_over(kVisits * kBoth);
	const DomainStats after = d.domain.stats();
	EXPECT_EQ(after.depot_hits - before.depot_hits, kVisits);
	EXPECT_EQ(after.tree_allocs, before.tree_allocs);
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(DomainTest, CachesHoldNoMoreThanTheirShareOfASmallSpace)
{
	// 16 MiB, 16 lcores: without a budget their magazines could hold all of it.
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 24) - 1));
	std::vector<uint64_t> a(4095);
	ASSERT_EQ(d.domain.alloc_bulk(0, kPage, kNoLimit, a.data(), 4095), Status::ok);
	for (size_t i = 0; i < a.size(); ++i)
		ASSERT_EQ(d.domain.free(i % 16, a[i], kPage), Status::ok);
	const DomainStats s = d.domain.stats();
	EXPECT_GT(s.cached_granules, 0u);
	EXPECT_LE(s.cached_granules, 4095 * 12 / 100);
	EXPECT_EQ(s.live_ranges, 0u);
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(DomainTest, ExhaustionTakesBackWhatOtherLcoresHold)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 24) - 1));
	std::vector<uint64_t> a(4095);
	ASSERT_EQ(d.domain.alloc_bulk(0, kPage, kNoLimit, a.data(), 4095), Status::ok);
	uint64_t iova;
	ASSERT_EQ(d.domain.alloc(0, kPage, kNoLimit, iova), Status::no_space);
	// Freed by 8 lcores and a plain thread, and taken again by one other: every page.
	for (size_t i = 0; i < a.size(); ++i)
		ASSERT_EQ(d.domain.free(i % 9 == 8 ? kNoLcore : i % 9, a[i], kPage), Status::ok);
	ASSERT_GT(d.domain.stats().cached_ranges, 0u);
	ASSERT_EQ(d.domain.alloc_bulk(20, kPage, kNoLimit, a.data(), 4095), Status::ok);
	EXPECT_GT(d.domain.stats().reclaims, 0u);
	std::sort(a.begin(), a.end());
	EXPECT_TRUE(std::adjacent_find(a.begin(), a.end()) == a.end());
	EXPECT_EQ(d.domain.alloc(1, kPage, kNoLimit, iova), Status::no_space);
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(DomainTest, SmallBlocksInCachesMakeRoomForALargeOne)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 24) - 1));
	std::vector<uint64_t> a(4095);
	ASSERT_EQ(d.domain.alloc_bulk(0, kPage, kNoLimit, a.data(), 4095), Status::ok);
	std::sort(a.begin(), a.end());
	for (size_t i = 64; i < 128; ++i)
		ASSERT_EQ(d.domain.free(i % 4, a[i - 1], kPage), Status::ok);
	ASSERT_EQ(d.domain.stats().cached_ranges, 64u);
	uint64_t iova;
	ASSERT_EQ(d.domain.alloc_range(64 * kPage, 64 * kPage, kNoLimit, iova), Status::ok);
	EXPECT_EQ(iova, 64 * kPage);
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(DomainTest, AFailedBulkLeavesNothingBehind)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 24) - 1));
	std::vector<uint64_t> a(5000);
	EXPECT_EQ(d.domain.alloc_bulk(0, kPage, kNoLimit, a.data(), 5000), Status::no_space);
	EXPECT_EQ(d.domain.alloc_bulk(0, 65 * kPage, kNoLimit, a.data(), 64), Status::no_space);
	EXPECT_EQ(d.domain.stats().live_ranges, 0u);
	EXPECT_EQ(d.domain.stats().fail_nospace, 2u);
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(DomainTest, OfAFullTreeRefusalsNeedNoReclaim)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 24) - 1));
	std::vector<uint64_t> a(4095);
	ASSERT_EQ(d.domain.alloc_bulk(0, kPage, kNoLimit, a.data(), 4095), Status::ok);
	uint64_t iova;
	ASSERT_EQ(d.domain.alloc(0, kPage, kNoLimit, iova), Status::no_space);
	const uint64_t reclaims = d.domain.stats().reclaims;
	for (unsigned i = 0; i < 100; ++i) {
		ASSERT_EQ(d.domain.alloc(i % 5, (1 + i % 64) * kPage, kNoLimit, iova), Status::no_space);
		ASSERT_EQ(d.domain.alloc_range(kPage, kPage, kNoLimit, iova), Status::no_space);
	}
	EXPECT_EQ(d.domain.stats().reclaims, reclaims);
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(DomainTest, WhatIsAtHandComesWithoutAReclaim)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 24) - 1));
	std::vector<uint64_t> a(4095);
	uint64_t iova;
	for (uint64_t &each : a)
		ASSERT_EQ(d.domain.alloc_at_hand(0, kPage, kNoLimit, each), Status::ok);
	EXPECT_EQ(d.domain.alloc_at_hand(0, kPage, kNoLimit, iova), Status::no_space);
	ASSERT_EQ(d.domain.free(1, a[0], kPage), Status::ok);
	EXPECT_EQ(d.domain.alloc_at_hand(0, kPage, kNoLimit, iova), Status::no_space) << "another lcore's";
	EXPECT_EQ(d.domain.alloc_range_at_hand(kPage, kPage, kNoLimit, iova), Status::no_space);
	EXPECT_EQ(d.domain.stats().reclaims, 0u);
	EXPECT_EQ(d.domain.stats().fail_nospace, 0u);
	EXPECT_EQ(d.domain.alloc_at_hand(1, kPage, kNoLimit, iova), Status::ok);
	EXPECT_EQ(iova, a[0]);
	ASSERT_EQ(d.domain.free(1, iova, kPage), Status::ok);
	EXPECT_EQ(d.domain.alloc(0, kPage, kNoLimit, iova), Status::ok);
	EXPECT_EQ(d.domain.stats().reclaims, 1u);
	EXPECT_EQ(d.domain.alloc_at_hand(0, kPage + 1, kNoLimit, iova), Status::invalid);
	EXPECT_EQ(d.domain.alloc_range_at_hand(kPage, 3 * kPage, kNoLimit, iova), Status::invalid);
	EXPECT_TRUE(d.domain.verify(stderr));
}

// Around a power of two, where all of them have no bit in common.
TEST(DomainTest, BulksGoToTheCacheWhereverTheyLie)
{
	for (const uint64_t len : {kPage, 2 * kPage}) {
		const uint64_t middle = uint64_t{1} << 31;
		OwnedDomain d(OwnedDomain::config(middle + 8 * len - 1));
		ASSERT_EQ(d.domain.free(0, take(d, 0, len), len), Status::ok);
		uint64_t iovas[16];
		ASSERT_TRUE(d.domain.try_alloc_bulk(0, len, kNoLimit, iovas, 16));
		ASSERT_TRUE(std::any_of(iovas, iovas + 16, [=](uint64_t iova) { return iova < middle; }));
		ASSERT_TRUE(std::any_of(iovas, iovas + 16, [=](uint64_t iova) { return iova >= middle; }));
		EXPECT_TRUE(d.domain.try_free_bulk(0, iovas, len, 16));
		ASSERT_TRUE(d.domain.try_alloc_bulk(0, len, kNoLimit, iovas, 16));
		iovas[7] += 512;
		EXPECT_FALSE(d.domain.try_free_bulk(0, iovas, len, 16)) << "one is no block";
		iovas[7] -= 512;
		EXPECT_FALSE(d.domain.try_free_bulk(0, iovas, len, 0)) << "nothing is for the cold path";
		EXPECT_TRUE(d.domain.try_free_bulk(0, iovas, len, 16));
		EXPECT_TRUE(d.domain.verify(stderr));
	}
}

TEST(DomainTest, AnLcoreThatLeavesGivesBackWhatItHeld)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 40) - 1));
	std::vector<uint64_t> a(300);
	ASSERT_EQ(d.domain.alloc_bulk(3, kPage, kNoLimit, a.data(), 300), Status::ok);
	ASSERT_EQ(d.domain.free_bulk(3, a.data(), kPage, 300), Status::ok);
	ASSERT_GT(d.domain.stats().cached_ranges, 0u);
	d.domain.release_lcore(3);
	d.domain.release_lcore(3);  // once more does nothing
	EXPECT_LE(d.domain.stats().cached_ranges, Magazine::kSlots * 2) << "the depot's at most";
	d.domain.reclaim();
	EXPECT_EQ(d.domain.stats().cached_ranges, 0u);
	EXPECT_EQ(d.state->depot.granted(), 0u);
	EXPECT_EQ(d.domain.stats().tree_nodes, 1u);
}

TEST(DomainTest, MoreLcoresThanCachesAreServedAllTheSame)
{
	DomainConfig config = OwnedDomain::config((uint64_t{1} << 40) - 1);
	config.caches = 2;
	config.magazines = 3;
	OwnedDomain d(config);
	std::vector<uint64_t> a;
	for (int round = 0; round < 3; ++round) {
		for (unsigned lcore = 0; lcore < 40; ++lcore)
			for (int i = 0; i < 20; ++i)
				a.push_back(take(d, lcore));
		std::sort(a.begin(), a.end());
		ASSERT_TRUE(std::adjacent_find(a.begin(), a.end()) == a.end());
		for (size_t i = 0; i < a.size(); ++i)
			ASSERT_EQ(d.domain.free(i % 40, a[i], kPage), Status::ok);
		a.clear();
		ASSERT_TRUE(d.domain.verify(stderr));
	}
}

TEST(DomainTest, TwoProcessesWithTheSameLcoresDoNotMeet)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 40) - 1));
	Domain other(d.state, 2);
	uint64_t x, y;
	ASSERT_EQ(d.domain.alloc(0, kPage, kNoLimit, x), Status::ok);
	ASSERT_EQ(other.alloc(0, kPage, kNoLimit, y), Status::ok);
	EXPECT_NE(x, y);
	ASSERT_EQ(other.free(0, x, kPage), Status::ok);
	ASSERT_EQ(d.domain.free(0, y, kPage), Status::ok);
	uint64_t z;
	ASSERT_EQ(d.domain.alloc(0, kPage, kNoLimit, z), Status::ok);
	EXPECT_EQ(z, y) << "each process has a cache of its own";
	ASSERT_EQ(d.domain.free(0, z, kPage), Status::ok);
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(DomainTest, DomainsOnOneSideOf4GiB)
{
	DomainConfig config = OwnedDomain::config((uint64_t{1} << 40) - 1);
	config.geometry = Geometry::of(kPage, uint64_t{1} << 33, (uint64_t{1} << 34) - 1);
	OwnedDomain high(config);
	uint64_t iova;
	EXPECT_EQ(high.domain.alloc(0, kPage, kLow, iova), Status::invalid) << "limit below the domain";
	iova = take(high, 0, 8 * kPage);
	EXPECT_EQ(iova, (uint64_t{1} << 34) - 8 * kPage);
	EXPECT_EQ(high.domain.free(0, iova, 8 * kPage), Status::ok);
	EXPECT_EQ(take(high, 0, 8 * kPage), iova);
	EXPECT_EQ(high.domain.free(0, iova, 8 * kPage), Status::ok);
	EXPECT_TRUE(high.domain.verify(stderr));

	OwnedDomain low(OwnedDomain::config(kLow));
	iova = take(low, 0, kPage, kLow);
	EXPECT_EQ(low.domain.free(0, iova, kPage), Status::ok);
	EXPECT_EQ(take(low, 0, kPage, kNoLimit), iova) << "any limit at or above its end is the same";
	EXPECT_EQ(low.domain.stats().cache_hits, 1u);
	EXPECT_EQ(low.domain.free(0, iova, kPage), Status::ok);
}

TEST(DomainTest, TheEdgesOf64Bits)
{
	OwnedDomain d(OwnedDomain::config(~uint64_t{0}));
	const uint64_t top = take(d, 0);
	EXPECT_EQ(top, ~uint64_t{0} - kPage + 1) << "the last granule";
	uint64_t first = 0;
	ASSERT_EQ(d.domain.alloc_range(kPage, kPage, 2 * kPage - 1, first), Status::ok);
	EXPECT_EQ(first, kPage) << "the first granule";
	uint64_t iova;
	EXPECT_EQ(d.domain.alloc(0, kPage, 2 * kPage - 1, iova), Status::no_space);
	EXPECT_EQ(d.domain.alloc(0, kPage, 0, iova), Status::invalid);
	ASSERT_EQ(d.domain.alloc_range(uint64_t{1} << 63, uint64_t{1} << 62, kNoLimit, iova), Status::ok);
	EXPECT_EQ(iova, uint64_t{1} << 62);
	EXPECT_TRUE(d.domain.verify(stderr));
	EXPECT_EQ(d.domain.free_range(iova, uint64_t{1} << 63), Status::ok);
	EXPECT_EQ(d.domain.free(0, top, kPage), Status::ok);
	EXPECT_EQ(d.domain.free_range(first, kPage), Status::ok);
	EXPECT_EQ(d.domain.free(0, ~uint64_t{0}, kPage), Status::invalid);
	EXPECT_EQ(d.domain.free(0, 0, kPage), Status::invalid);
}

TEST(DomainTest, ADoubleFreeIsFoundWhenTheCacheGivesItBack)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 40) - 1));
	const uint64_t a = take(d, 0);
	ASSERT_EQ(d.domain.free(0, a, kPage), Status::ok);
	ASSERT_EQ(d.domain.free(0, a, kPage), Status::ok) << "a cached free is not looked up";
	EXPECT_FALSE(d.domain.verify(nullptr));
	d.domain.reclaim();
	EXPECT_EQ(d.domain.stats().bad_frees, 1u);
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(DomainTest, ABlockOfTheCachesIsNotFreedAsARange)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 40) - 1));
	const uint64_t a = take(d, 0, 4 * kPage);
	EXPECT_EQ(d.domain.free_range(a, 4 * kPage), Status::not_found);
	EXPECT_EQ(d.domain.find(a), (Extent{a / kPage, a / kPage + 4, kBlock}));
	EXPECT_EQ(d.domain.free(0, a, 4 * kPage), Status::ok);
	EXPECT_EQ(d.domain.free_range(a, 4 * kPage), Status::not_found) << "a cache holds it";
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(DomainTest, WithoutCachesEveryFreeIsExact)
{
	DomainConfig config = OwnedDomain::config((uint64_t{1} << 40) - 1);
	config.cached = false;
	OwnedDomain d(config);
	const uint64_t a = take(d, 0, 3 * kPage), b = take(d, kNoLcore, 3 * kPage);
	EXPECT_EQ(a - b, 4 * kPage) << "blocks of a power of two";
	EXPECT_EQ(d.domain.free(1, a, 2 * kPage), Status::not_found) << "wrong length";
	EXPECT_EQ(d.domain.free(1, a, 3 * kPage), Status::ok);
	EXPECT_EQ(d.domain.free(1, a, 3 * kPage), Status::not_found) << "twice";
	EXPECT_EQ(d.domain.free(1, b + kPage, kPage), Status::not_found) << "inside";
	EXPECT_EQ(d.domain.free(1, b, 3 * kPage), Status::ok);
	EXPECT_EQ(d.domain.stats().cache_hits, 0u);
	EXPECT_EQ(d.domain.stats().bad_frees, 3u);
}

TEST(DomainTest, ReservingEmptiesCachesThatAreInTheWay)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 40) - 1));
	const uint64_t a = take(d, 5);
	EXPECT_EQ(d.domain.reserve(a, kPage), Status::exists) << "live";
	ASSERT_EQ(d.domain.free(5, a, kPage), Status::ok);
	EXPECT_EQ(d.domain.reserve(a, kPage), Status::ok) << "only cached";
	EXPECT_NE(take(d, 5), a);
	EXPECT_EQ(d.domain.unreserve(a, kPage), Status::ok);
}

}  // namespace
}  // namespace iovad::core
