// SPDX-License-Identifier: BSD-3-Clause
// Defects of the kernel's iova.c and of its reworks, each as a test that this library
// has not got it. Numbered as in the list of prior art.
#include <algorithm>
#include <set>
#include <thread>

#include "../test_domain.h"

namespace iovad::test {
namespace {

constexpr uint32_t kNoCache = IOVAD_DOMAIN_F_NO_CACHE;

iovad_domain_conf cached_conf(uint64_t pages, uint32_t percent)
{
	iovad_domain_conf conf = conf_of_pages(pages);
	conf.cache_percent = percent;
	return conf;
}

// 1. A search for size + alignment - 1 does not see the one hole that fits.
TEST(PriorArt, OneFreedAlignedBlockAmongTakenOnesIsFound)
{
	constexpr uint64_t kBlock = 32 * kPage;
	TestDomain d(conf_of(kPage, kLimit32, kNoCache));
	std::vector<rte_iova_t> blocks;
	for (rte_iova_t iova; iovad_alloc_range(d, kBlock, kBlock, 0xFFFFFF, &iova) == 0;)
		blocks.push_back(iova);
	ASSERT_EQ(127u, blocks.size());
	for (const size_t victim : {size_t{0}, size_t{63}, size_t{126}}) {
		ASSERT_EQ(0, iovad_free_range(d, blocks[victim], kBlock));
		EXPECT_EQ(blocks[victim], d.alloc_range(kBlock, kBlock, 0xFFFFFF));
		expect_refused(d, ENOSPC, [&] {
			rte_iova_t iova;
			return iovad_alloc_range(d, kBlock, kBlock, 0xFFFFFF, &iova);
		});
	}
	for (const rte_iova_t iova : blocks)
		EXPECT_EQ(0, iovad_free_range(d, iova, kBlock));
}

// 2. A failure is remembered, and requests fail that have nothing to do with it.
TEST(PriorArt, FailureUnderALowLimitSaysNothingAboutAHigherOne)
{
	for (const uint32_t flags : {0u, kNoCache}) {
		TestDomain d(conf_of(kPage, kLimit32, flags));
		constexpr uint64_t k24Bits = (1 << 24) - 1;
		const std::vector<rte_iova_t> low = d.alloc_until(ENOSPC, kPage, k24Bits);
		EXPECT_EQ(4095u, low.size());
		for (const uint64_t pages : {1, 2, 64, 1024}) {
			const rte_iova_t iova = d.alloc(pages * kPage, kLimit32);
			EXPECT_GT(iova, k24Bits);
			EXPECT_EQ(0, iovad_free(d, iova, pages * kPage));
		}
		// And what was full is not full for ever.
		EXPECT_EQ(0, iovad_free(d, low[7], kPage));
		EXPECT_EQ(low[7], d.alloc(kPage, k24Bits));
		d.free_all(low, kPage);
	}
}

TEST(PriorArt, AnAlignedFailureDoesNotPoisonUnalignedRequests)
{
	TestDomain d(conf_of_pages(64, kNoCache));
	// Pages 1 .. 64; with 32 taken, 31 pages remain below and 32 above, from 33 on.
	ASSERT_EQ(0, iovad_reserve(d, 32 * kPage, kPage));
	rte_iova_t iova;
	EXPECT_EQ(-ENOSPC, iovad_alloc_range(d, 32 * kPage, 32 * kPage, kNoLimit, &iova));
	EXPECT_EQ(33 * kPage, d.alloc_range(32 * kPage, kPage, kNoLimit));
	EXPECT_EQ(0, iovad_free_range(d, 33 * kPage, 32 * kPage));
	EXPECT_EQ(0, iovad_unreserve(d, 32 * kPage, kPage));
}

// 3. An exact aligned hole is passed over while a larger gap exists.
TEST(PriorArt, AnExactAlignedHoleIsTakenBeforeALargerGapBelow)
{
	constexpr uint64_t kBlock = 16 * kPage;
	TestDomain d(conf_of(kPage, kLimit32, kNoCache));
	std::vector<rte_iova_t> blocks;
	for (int i = 0; i < 256; ++i)
		blocks.push_back(d.alloc_range(kBlock, kBlock, kLimit32));
	const rte_iova_t lowest = blocks.back();
	// Holes come and go at random places; the footprint never grows.
	for (size_t i = 0; i < 4096; ++i) {
		rte_iova_t &block = blocks[i * 2654435761 % blocks.size()];
		ASSERT_EQ(0, iovad_free_range(d, block, kBlock));
		block = d.alloc_range(kBlock, kBlock, kLimit32);
		ASSERT_GE(block, lowest);
	}
	for (const rte_iova_t iova : blocks)
		EXPECT_EQ(0, iovad_free_range(d, iova, kBlock));
}

// 4. Deletions leave markers, and a later call pays for all of them. Here there is
// nothing to drain: what a free gives back is there at once, nodes included.
TEST(PriorArt, DeletionLeavesNothingBehindThatALaterCallMustDrain)
{
	TestDomain d(conf_of(kPage, kLimit32, kNoCache));
	const iovad_domain_stats fresh = stats_of(d);
	std::vector<rte_iova_t> held;
	for (int i = 0; i < 20000; ++i)
		held.push_back(d.alloc_range(kPage, 2 * kPage, kLimit32));
	uint64_t nodes = stats_of(d).tree_nodes, available = state_of(d).available_bytes;
	for (size_t i = 0; i < held.size(); ++i) {
		ASSERT_EQ(0, iovad_free_range(d, held[i * 7919 % held.size()], kPage));
		const iovad_domain_stats s = stats_of(d);
		ASSERT_EQ(available += kPage, s.free_bytes);
		ASSERT_LE(s.tree_nodes, nodes);
		ASSERT_EQ(0u, s.deferred_ranges);
		nodes = s.tree_nodes;
	}
	EXPECT_EQ(fresh.tree_nodes, nodes);
	EXPECT_EQ(fresh.largest_gap_bytes, stats_of(d).largest_gap_bytes);
}

// 5. Reserving merges over what is live; frees are not checked.
TEST(PriorArt, ReservingOverALiveRangeIsRefused)
{
	TestDomain d(conf_of_pages(64, kNoCache));
	const rte_iova_t iova = d.alloc_range(4 * kPage, 4 * kPage, 40 * kPage);
	for (const auto &[start, pages] : {std::pair{iova, 4}, {iova - kPage, 2}, {iova + 3 * kPage, 8},
					   {iova + kPage, 1}, {kPage, 64}})
		expect_refused(d, EEXIST, [&, at = start, len = static_cast<uint64_t>(pages) * kPage] {
			return iovad_reserve(d, at, len);
		});
	EXPECT_EQ(0, iovad_free_range(d, iova, 4 * kPage));
	EXPECT_EQ(0, iovad_reserve(d, kPage, 64 * kPage));
	EXPECT_EQ(0, iovad_unreserve(d, kPage, 64 * kPage));
}

TEST(PriorArt, InteriorAddressWrongSizeAndDoubleFreeAreRefused)
{
	TestDomain d(conf_of_pages(64, kNoCache));
	const rte_iova_t iova = d.alloc_range(4 * kPage, 4 * kPage, kNoLimit);
	expect_refused(d, ENOENT, [&] { return iovad_free_range(d, iova + kPage, kPage); });
	expect_refused(d, ENOENT, [&] { return iovad_free_range(d, iova + kPage, 3 * kPage); });
	expect_refused(d, ENOENT, [&] { return iovad_free_range(d, iova, 3 * kPage); });
	expect_refused(d, ENOENT, [&] { return iovad_free_range(d, iova - kPage, 5 * kPage); });
	EXPECT_EQ(0, iovad_free_range(d, iova, 4 * kPage));
	expect_refused(d, ENOENT, [&] { return iovad_free_range(d, iova, 4 * kPage); });
	EXPECT_EQ(5u, stats_of(d).bad_frees);
}

// 6. The cache gives up under a limit without looking where an address is.
class PriorArtCache : public testing::Test {
protected:
	static constexpr unsigned kHere = 0, kThere = 1;
	static constexpr uint64_t kPages = 1024;

	// All of the window is handed out.
	void SetUp() override
	{
		for (const rte_iova_t iova : domain_.alloc_until(ENOSPC, kPage))
			held_.insert(iova);
		ASSERT_EQ(kPages, held_.size());
	}
	void TearDown() override
	{
		for (const rte_iova_t iova : held_)
			EXPECT_EQ(0, iovad_free(domain_, iova, kPage));
	}
	void free_pages(uint64_t first, uint64_t last)
	{
		for (uint64_t page = first; page <= last; ++page) {
			ASSERT_EQ(0, iovad_free(domain_, page * kPage, kPage));
			held_.erase(page * kPage);
		}
	}
	// One page, all of it below the page `end`.
	uint64_t alloc_below(uint64_t end)
	{
		const rte_iova_t iova = domain_.alloc(kPage, end * kPage - 1);
		EXPECT_TRUE(held_.insert(iova).second) << "handed out twice";
		EXPECT_LT(iova, end * kPage);
		return iova / kPage;
	}

	TestDomain domain_{cached_conf(kPages, 50)};
	std::set<rte_iova_t> held_;
};

TEST_F(PriorArtCache, UnderALimitAnAddressDeepInTheLoadedMagazineIsFound)
{
	AsLcore here(kHere);
	free_pages(10, 30);
	ASSERT_GT(stats_of(domain_).cached_ranges, 0u);
	EXPECT_EQ(10u, alloc_below(11));
}

TEST_F(PriorArtCache, UnderALimitAnAddressInThePreviousMagazineOrTheDepotIsFound)
{
	AsLcore here(kHere);
	free_pages(10, 400);  // more than a loaded and a previous magazine take
	ASSERT_GT(stats_of(domain_).cached_ranges, 130u);
	for (const uint64_t page : {10, 11, 12})
		EXPECT_EQ(page, alloc_below(page + 1));
}

TEST_F(PriorArtCache, UnderALimitAnAddressThatAnotherLcoreHoldsIsFound)
{
	{
		AsLcore there(kThere);
		free_pages(10, 10);
		ASSERT_EQ(1u, stats_of(domain_).cached_ranges);
	}
	AsLcore here(kHere);
	EXPECT_EQ(10u, alloc_below(11));
	expect_refused(domain_, ENOSPC, [&] {
		rte_iova_t iova;
		return iovad_alloc(domain_, kPage, kNoLimit, &iova);
	});
}

TEST_F(PriorArtCache, PreviousMagazineAndDepotServeBeforeTheTree)
{
	AsLcore here(kHere);
	free_pages(1, 512);
	const iovad_domain_stats before = stats_of(domain_);
	for (uint64_t i = 0; i < before.cached_ranges; ++i)
		alloc_below(kPages + 1);
	const iovad_domain_stats after = stats_of(domain_);
	EXPECT_EQ(before.tree_allocs, after.tree_allocs);
	EXPECT_EQ(before.reclaims, after.reclaims);
	EXPECT_GT(after.depot_hits, before.depot_hits);
	EXPECT_EQ(0u, after.cached_ranges);
}

// 7. Caches may hold all of a small space.
TEST(PriorArt, CachesOfManyLcoresHoldNoMoreThanTheirShare)
{
	constexpr uint64_t kPages = 4096;
	for (const uint32_t percent : {1u, 12u, 50u}) {
		TestDomain d(cached_conf(kPages, percent));
		uint64_t most = 0;
		for (unsigned lcore = 0; lcore < 64; ++lcore) {
			AsLcore as(lcore);
			for (const uint64_t pages : {1, 8, 64}) {
				std::vector<rte_iova_t> held;
				rte_iova_t iova;
				while (held.size() < 512 / pages && iovad_alloc(d, pages * kPage, kNoLimit, &iova) == 0)
					held.push_back(iova);
				d.free_all(held, pages * kPage);
				most = std::max(most, stats_of(d).cached_bytes);
			}
		}
		EXPECT_LE(most, kPages * kPage * percent / 100);
		EXPECT_GT(most, 0u) << "or nothing was tested";
		EXPECT_EQ(0, iovad_verify(d, stderr));
	}
}

TEST(PriorArt, CachesLeaveASmallZoneBelow4GiBAlone)
{
	// 256 pages below 4 GiB, very many above: the share of the low zone is its own.
	TestDomain d(conf_of(k4GiB - 256 * kPage, k4GiB * 16));
	std::vector<rte_iova_t> held;
	for (unsigned lcore = 0; lcore < 64; ++lcore) {
		AsLcore as(lcore);
		const rte_iova_t low = d.alloc(kPage, kLimit32);
		EXPECT_EQ(0, iovad_free(d, low, kPage));
		const rte_iova_t high = d.alloc(kPage);
		EXPECT_EQ(0, iovad_free(d, high, kPage));
	}
	// 12 percent of 256 pages may be held by caches, so 225 are to be had without a reclaim.
	rte_iova_t iova;
	for (int i = 0; i < 225; ++i) {
		ASSERT_EQ(0, iovad_alloc_range(d, kPage, kPage, kLimit32, &iova));
		held.push_back(iova);
	}
	EXPECT_EQ(0u, stats_of(d).reclaims);
	for (const rte_iova_t h : held)
		EXPECT_EQ(0, iovad_free_range(d, h, kPage));
}

// 8. On failure the caller empties every CPU's cache while those stand still.
TEST(PriorArt, ExhaustionReclaimsTheCachesOfLcoresThatGoOnWorking)
{
	constexpr uint64_t kPages = 2048;
	constexpr unsigned kWorkers = 3, kHeld = 16;
	TestDomain d(cached_conf(kPages, 50));
	std::atomic<bool> stop = false;
	std::atomic<unsigned> working = 0;
	std::vector<std::thread> workers;
	for (unsigned w = 1; w <= kWorkers; ++w) {
		workers.emplace_back([&, w] {
			AsLcore as(w);
			std::vector<rte_iova_t> held;
			for (bool first = true; !stop.load(); first = false) {
				rte_iova_t iova;
				while (held.size() < kHeld && iovad_alloc(d, kPage, kNoLimit, &iova) == 0)
					held.push_back(iova);
				d.free_all(held, kPage);
				held.clear();
				working += first;
			}
		});
	}
	while (working.load() < kWorkers)
		std::this_thread::yield();
	for (int round = 0; round < 20; ++round)
		d.free_all(d.alloc_until(ENOSPC, kPage), kPage);
	stop = true;
	for (std::thread &t : workers)
		t.join();
	EXPECT_GE(stats_of(d).reclaims, 20u);
	// Nothing got lost, and caches of lcores that stand still are no obstacle either.
	const std::vector<rte_iova_t> all = d.alloc_until(ENOSPC, kPage);
	EXPECT_EQ(kPages, all.size());
	d.free_all(all, kPage);
}

}  // namespace
}  // namespace iovad::test
