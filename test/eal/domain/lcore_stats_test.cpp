// SPDX-License-Identifier: BSD-3-Clause
// Statistics, and what they tell about the caches: hits, exchange of whole magazines,
// trimming, lcores and threads that go away.
#include <thread>

#include <rte_cycles.h>

#include "../test_domain.h"
#include "iovad/iovad_control.h"

namespace iovad::test {
namespace {

constexpr uint64_t kDomainPages = 1 << 19;

std::vector<rte_iova_t> alloc_n(const TestDomain &d, size_t n, uint64_t len = kPage)
{
	std::vector<rte_iova_t> out;
	while (out.size() < n)
		out.push_back(d.alloc(len));
	return out;
}

TEST(Statistics, AFreshDomainIsAllFree)
{
	for (const uint32_t flags : {0u, IOVAD_DOMAIN_F_NO_CACHE, IOVAD_DOMAIN_F_DEBUG}) {
		TestDomain d(conf_of_pages(kDomainPages, flags));
		const iovad_domain_stats s = stats_of(d);
		EXPECT_EQ(kDomainPages * kPage, s.free_bytes);
		EXPECT_EQ(kDomainPages * kPage, s.largest_gap_bytes);
		EXPECT_EQ(0u, s.live_ranges | s.cached_ranges | s.reserved_bytes | s.deferred_ranges);
		EXPECT_EQ(0u, s.cache_hits | s.depot_hits | s.tree_allocs | s.tree_frees);
		EXPECT_EQ(0u, s.fail_nospace | s.fail_again | s.bad_frees | s.reclaims);
		EXPECT_EQ(1u, s.tree_nodes);
		EXPECT_GT(s.tree_bytes, 0u);
	}
}

TEST(Statistics, EveryRequestOfAnUncachedDomainIsTheTrees)
{
	TestDomain d(conf_of_pages(kDomainPages, IOVAD_DOMAIN_F_NO_CACHE));
	d.free_all(alloc_n(d, 100), kPage);
	const iovad_domain_stats s = stats_of(d);
	EXPECT_EQ(100u, s.tree_allocs);
	EXPECT_EQ(100u, s.tree_frees);
	EXPECT_EQ(0u, s.cache_hits | s.depot_hits | s.cached_ranges);
}

TEST(Statistics, APairOnOneLcoreIsAHit)
{
	TestDomain d(conf_of_pages(kDomainPages));
	d.free_all({d.alloc(kPage)}, kPage);
	const iovad_domain_stats before = stats_of(d);
	for (int i = 0; i < 1000; ++i)
		d.free_all({d.alloc(kPage)}, kPage);
	const iovad_domain_stats after = stats_of(d);
	EXPECT_EQ(before.cache_hits + 1000, after.cache_hits);
	EXPECT_EQ(before.tree_allocs, after.tree_allocs);
	EXPECT_EQ(before.tree_frees, after.tree_frees);
}

TEST(Statistics, EveryAllocationIsAHitOrTheDepotsOrFollowsTheTree)
{
	TestDomain d(conf_of_pages(kDomainPages));
	constexpr unsigned kRequests = 5000;
	const auto held = alloc_n(d, kRequests);
	const iovad_domain_stats s = stats_of(d);
	EXPECT_EQ(kRequests, s.live_ranges);
	EXPECT_EQ(kRequests * kPage, s.live_bytes);
	EXPECT_EQ(s.live_ranges + s.cached_ranges, s.tree_allocs - s.tree_frees);
	EXPECT_GT(s.cache_hits, kRequests / 2) << "the tree is asked for several at a time";
	EXPECT_LT(s.cache_hits + s.depot_hits, kRequests);
	d.free_all(held, kPage);
}

TEST(Statistics, OddLengthsOccupyTheirPowerOfTwo)
{
	TestDomain d(conf_of_pages(kDomainPages));
	const rte_iova_t three = d.alloc(3 * kPage), big = d.alloc(65 * kPage);
	EXPECT_EQ((4 + 65) * kPage, stats_of(d).live_bytes);
	EXPECT_EQ(0u, three % (4 * kPage));
	EXPECT_EQ(0u, big % (128 * kPage));
	iovad_range range;
	EXPECT_EQ(0, iovad_find(d, three + 3 * kPage, &range));
	EXPECT_EQ(4 * kPage, range.len);
	EXPECT_EQ(0, iovad_free(d, three, 3 * kPage));
	EXPECT_EQ(0, iovad_free(d, big, 65 * kPage));
}

// Allocated here and freed there: after a while whole magazines go round, and the tree
// is not asked any more.
TEST(Exchange, WholeMagazinesMoveFromTheFreeingLcoreToTheAllocatingOne)
{
	TestDomain d(conf_of_pages(kDomainPages));
	const auto move = [&](int pages) {
		for (int i = 0; i < pages; ++i) {
			rte_iova_t iova;
			{
				AsLcore here(1);
				iova = d.alloc(kPage);
			}
			AsLcore there(2);
			ASSERT_EQ(0, iovad_free(d, iova, kPage));
		}
	};
	move(2000);
	const iovad_domain_stats before = stats_of(d);
	move(20000);
	const iovad_domain_stats after = stats_of(d);
	EXPECT_EQ(before.tree_allocs, after.tree_allocs);
	EXPECT_LE(after.tree_frees - before.tree_frees, 500u) << "only what is trimmed";
	const uint64_t exchanges = after.depot_hits - before.depot_hits;
	EXPECT_GE(exchanges, 20000u / 200);
	EXPECT_LE(exchanges, 20000u / 50);
	EXPECT_EQ(20000u, after.cache_hits - before.cache_hits + exchanges);
}

TEST(Exchange, SurplusGoesBackToTheTree)
{
	TestDomain d(conf_of_pages(kDomainPages));
	// A burst: the depot fills up.
	d.free_all(alloc_n(d, 6000), kPage);
	const uint64_t burst = stats_of(d).cached_ranges;
	ASSERT_GT(burst, 4000u);
	// Then calm periods, which exchange magazines but need few of them, and a control lcore.
	const uint64_t give_up = rte_get_tsc_cycles() + 20 * rte_get_tsc_hz();
	while (stats_of(d).cached_ranges >= burst / 2 && rte_get_tsc_cycles() < give_up) {
		d.free_all(alloc_n(d, 400), kPage);
		iovad_control_poll();
	}
	EXPECT_LT(stats_of(d).cached_ranges, burst / 2);
	EXPECT_GT(stats_of(d).trims, 0u);
	EXPECT_EQ(0u, stats_of(d).reclaims);
}

TEST(Exchange, CachesStayWithinTheirShareAtEveryMoment)
{
	iovad_domain_conf conf = conf_of_pages(8192);
	conf.cache_percent = 10;
	TestDomain d(conf);
	for (unsigned i = 0; i < 2000; ++i) {
		AsLcore as(i % 16);
		const uint64_t len = kPage << i % 7;
		d.free_all(alloc_n(d, 24, len), len);
		ASSERT_LE(stats_of(d).cached_bytes, 819 * kPage);
	}
	EXPECT_GT(stats_of(d).cached_bytes, 0u);
}

TEST(Exchange, BothZonesHaveCachesOfTheirOwn)
{
	TestDomain d(conf_of(kPage, k4GiB * 4));
	d.free_all({d.alloc(kPage, kLimit32), d.alloc(kPage)}, kPage);
	const iovad_domain_stats before = stats_of(d);
	for (int i = 0; i < 100; ++i) {
		const rte_iova_t low = d.alloc(kPage, kLimit32), high = d.alloc(kPage);
		EXPECT_LE(low, kLimit32);
		EXPECT_GT(high, kLimit32);
		d.free_all({low, high}, kPage);
	}
	EXPECT_EQ(before.cache_hits + 200, stats_of(d).cache_hits);
}

TEST(Leaving, ARegisteredThreadGivesBackWhatItHeld)
{
	TestDomain d(conf_of_pages(kDomainPages));
	uint64_t held = 0;
	std::thread([&] {
		ASSERT_EQ(0, rte_thread_register());
		ASSERT_NE(unsigned{LCORE_ID_ANY}, rte_lcore_id());
		d.free_all(alloc_n(d, 200), kPage);
		held = stats_of(d).cached_ranges;
		rte_thread_unregister();
	}).join();
	EXPECT_GE(held, 126u);
	// Two magazines at most are an lcore's own, one of them full; the depot's belong to all.
	EXPECT_LE(stats_of(d).cached_ranges, held - 64);
	const iovad_domain_stats s = stats_of(d);
	EXPECT_EQ(0u, s.live_ranges);
	EXPECT_EQ(kDomainPages * kPage, s.cached_bytes + s.free_bytes);
}

TEST(Leaving, ThreadsWithoutAnLcoreIdAreServedByTheirSharedCache)
{
	TestDomain d(conf_of_pages(kDomainPages));
	for (int i = 0; i < 10; ++i) {
		std::thread([&] {
			ASSERT_EQ(unsigned{LCORE_ID_ANY}, rte_lcore_id());
			d.free_all(alloc_n(d, 10), kPage);
		}).join();
	}
	const iovad_domain_stats s = stats_of(d);
	EXPECT_LE(s.tree_allocs, 32u) << "what one thread freed serves the next";
	EXPECT_GE(s.cache_hits, 90u);
}

TEST(Leaving, ManyThreadsComeAndGoAndCachesAreUsedAgain)
{
	TestDomain d(conf_of_pages(kDomainPages));
	for (int i = 0; i < 500; ++i) {
		std::thread([&] {
			ASSERT_EQ(0, rte_thread_register());
			d.free_all(alloc_n(d, 4), kPage);
			rte_thread_unregister();
		}).join();
	}
	EXPECT_EQ(0u, stats_of(d).cached_ranges);
	EXPECT_EQ(kDomainPages * kPage, stats_of(d).free_bytes);
}

}  // namespace
}  // namespace iovad::test
