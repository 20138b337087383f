// SPDX-License-Identifier: BSD-3-Clause
// What a control lcore does for a domain, alone and beside lcores that allocate.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "domain_workers.h"

namespace iovad::core {
namespace {

DomainConfig roomy() { return OwnedDomain::config((uint64_t{1} << 40) - 1); }

constexpr size_t kSpare = size_t{1} << 22;

// What a control lcore has: memory for nodes, near the domain's, and all that it calls now
// and then.
class Upkeep {
public:
	explicit Upkeep(OwnedDomain &d) : domain_(d.domain), spare_(d.spare) {}

	void add_nodes()
	{
		const size_t bytes = domain_.nodes_wanted();
		if (bytes == 0)
			return;
		ASSERT_LE(used_ + bytes, kSpare);
		ASSERT_TRUE(domain_.add_nodes(spare_ + used_, bytes));
		used_ += bytes;
		++chunks_;
	}
	unsigned trim(unsigned most)
	{
		unsigned all = 0;
		Domain::Trimmed t;
		do {
			t = domain_.trim(most);
			EXPECT_LE(t.magazines, most);
			all += t.magazines;
		} while (t.magazines == most);
		return all;
	}
	uint64_t chunks() const { return chunks_; }

private:
	Domain &domain_;
	std::byte *spare_;
	size_t used_ = 0;
	uint64_t chunks_ = 0;
};

TEST(UpkeepTest, TrimmingTakesAFewMagazinesAtATime)
{
	OwnedDomain d(roomy());
	std::vector<uint64_t> a(2000);
	ASSERT_EQ(d.domain.alloc_bulk(1, kPage, kNoLimit, a.data(), 2000), Status::ok);
	ASSERT_EQ(d.domain.free_bulk(1, a.data(), kPage, 2000), Status::ok);
	d.domain.end_period();
	EXPECT_EQ(d.domain.trim(8).magazines, 0u) << "what came in this period was not yet idle for one";
	d.domain.end_period();
	const uint64_t cached = d.domain.stats().cached_ranges;
	const Domain::Trimmed t = d.domain.trim(8);
	EXPECT_EQ(t.magazines, 8u);
	EXPECT_EQ(t.addresses, 8u * Magazine::kSlots);
	EXPECT_EQ(d.domain.stats().cached_ranges, cached - t.addresses);
	EXPECT_TRUE(d.domain.verify(stderr));
	Upkeep upkeep(d);
	const unsigned more = upkeep.trim(8);
	EXPECT_EQ(d.domain.stats().trims, 8 + more);
	EXPECT_LE(d.domain.stats().cached_ranges, 2 * Magazine::kSlots) << "what the lcore has loaded stays";
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(UpkeepTest, EmptyMagazinesServeOtherBinsAgain)
{
	DomainConfig config = roomy();
	config.magazines = 40;
	OwnedDomain d(config);
	std::vector<uint64_t> a(6000);
	const auto round = [&](uint64_t len) {
		ASSERT_EQ(d.domain.alloc_bulk(1, len, kNoLimit, a.data(), 6000), Status::ok);
		ASSERT_EQ(d.domain.free_bulk(1, a.data(), len, 6000), Status::ok);
	};
	round(kPage);
	ASSERT_EQ(d.domain.alloc_bulk(1, kPage, kNoLimit, a.data(), 6000), Status::ok);
	ASSERT_GT(d.domain.depot_view(Bin::of(0, 1)).empty, 30u);
	ASSERT_LT(40 - d.state->depot.granted(), 4u);
	d.domain.end_period();
	d.domain.end_period();
	Upkeep upkeep(d);
	EXPECT_GT(upkeep.trim(100), 30u);
	EXPECT_LT(d.state->depot.granted(), 4u);
	EXPECT_EQ(d.domain.free_bulk(1, a.data(), kPage, 6000), Status::ok);
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(UpkeepTest, NodesAreWantedBeforeTheyRunOut)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 40) - 1, 1000), kSpare);
	Upkeep upkeep(d);
	std::vector<uint64_t> a(40000);
	for (uint64_t &iova : a) {
		ASSERT_EQ(d.domain.alloc_range(3 * kPage, 4 * kPage, kNoLimit, iova), Status::ok);
		upkeep.add_nodes();
	}
	EXPECT_GT(upkeep.chunks(), 4u);
	EXPECT_EQ(d.domain.stats().grows, upkeep.chunks());
	EXPECT_EQ(d.domain.stats().fail_again, 0u);
	EXPECT_TRUE(d.domain.verify(stderr));
	for (const uint64_t iova : a)
		ASSERT_EQ(d.domain.free_range(iova, 3 * kPage), Status::ok);
	EXPECT_EQ(d.domain.stats().tree_nodes, 1u);
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(UpkeepTest, APartIsGivenBackWithoutNodesAndSettledWithThem)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 40) - 1, 100), kSpare);
	ASSERT_EQ(d.domain.reserve(kPage, 100 * kPage), Status::ok);
	uint64_t iova;
	while (d.domain.alloc_range(kPage, 2 * kPage, kNoLimit, iova) == Status::ok)
		;
	ASSERT_EQ(d.domain.unreserve(10 * kPage, 10 * kPage), Status::ok);
	EXPECT_EQ(d.domain.stats().deferred_frees, 1u);
	EXPECT_EQ(d.domain.find(10 * kPage).value, 0);
	d.domain.settle();
	EXPECT_EQ(d.domain.stats().deferred_frees, 1u);
	Upkeep upkeep(d);
	upkeep.add_nodes();
	EXPECT_EQ(d.domain.stats().deferred_frees, 0u);
	EXPECT_EQ(d.domain.stats().reserved_granules, 90u);
	EXPECT_TRUE(d.domain.verify(stderr));
}

TEST(UpkeepTest, ViewsSayWhatEachCacheHolds)
{
	OwnedDomain d(roomy());
	uint64_t a[10];
	ASSERT_EQ(d.domain.alloc_bulk(3, 4 * kPage, kNoLimit, a, 10), Status::ok);
	ASSERT_EQ(d.domain.free_bulk(3, a, 4 * kPage, 10), Status::ok);
	ASSERT_EQ(d.domain.alloc(kNoLcore, kPage, kNoLimit, a[0]), Status::ok);
	std::vector<CacheView> views;
	d.domain.for_each_cache_view([&](const CacheView &v) { views.push_back(v); });
	ASSERT_EQ(views.size(), 2u);
	EXPECT_EQ(views[0].process, 1u);
	EXPECT_EQ(views[0].lcore, 3u);
	EXPECT_GE(views[0].cached[Bin::of(2, 1).index()], 10u);
	EXPECT_EQ(views[0].cached[Bin::of(0, 1).index()], 0u);
	EXPECT_EQ(views[1].lcore, kNoLcore);
	EXPECT_EQ(views[1].cached[Bin::of(0, 1).index()], 31u) << "taken ahead";
	uint64_t sum = 0;
	for (const CacheView &v : views)
		for (const uint32_t n : v.cached)
			sum += n;
	EXPECT_EQ(sum, d.domain.stats().cached_ranges);
	EXPECT_EQ(d.domain.free(kNoLcore, a[0], kPage), Status::ok);
}

TEST(UpkeepTest, OccupancyIsTheShareOfEachSlice)
{
	DomainConfig config = OwnedDomain::config(401 * kPage - 1);
	config.cached = false;
	OwnedDomain d(config);
	ASSERT_EQ(d.domain.reserve(1 * kPage, 150 * kPage), Status::ok);
	uint64_t a;
	ASSERT_EQ(d.domain.alloc_range(25 * kPage, kPage, kNoLimit, a), Status::ok);
	for (int i = 0; i < 50; ++i)
		ASSERT_EQ(d.domain.alloc_range(kPage, 2 * kPage, 301 * kPage - 1, a), Status::ok);
	Occupancy o[4];
	d.domain.occupancy(o, 4);
	const float live[] = {0, 0, 0.5, 0.25}, reserved[] = {1, 0.5, 0, 0};
	for (int i = 0; i < 4; ++i) {
		EXPECT_FLOAT_EQ(o[i].live, live[i]) << i;
		EXPECT_FLOAT_EQ(o[i].reserved, reserved[i]) << i;
	}
	std::vector<Occupancy> fine(1000);
	d.domain.occupancy(fine.data(), 1000);
	EXPECT_FLOAT_EQ(fine[1].reserved, 0) << "no granule is in it";
	const auto whole = std::count_if(fine.begin(), fine.end(), [](const Occupancy &s) { return s.reserved == 1; });
	EXPECT_EQ(whole, 150) << "one for each granule";
}

// The control lcore goes on all the time while others allocate, in a domain that has far
// too few nodes to begin with, or too little space.
struct Beside {
	const char *name;
	uint64_t last_byte, max_ranges;
};
class UpkeepThreadsTest : public testing::TestWithParam<Beside> {};

TEST_P(UpkeepThreadsTest, NothingIsOwnedTwice)
{
	OwnedDomain d(OwnedDomain::config(GetParam().last_byte, GetParam().max_ranges), kSpare);
	Owners owners((GetParam().last_byte + 1) / kPage);
	Upkeep upkeep(d);
	std::vector<std::unique_ptr<Worker>> workers;
	for (unsigned i = 0; i < 4; ++i)
		workers.push_back(std::make_unique<Worker>(d, owners, i < 3 ? i : kNoLcore, i, 400));
	std::atomic<size_t> running = workers.size();
	std::vector<std::thread> threads;
	for (auto &worker : workers) {
		threads.emplace_back([&] {
			worker->run(50000);
			--running;
		});
	}
	uint64_t wrong = 0;
	std::vector<Occupancy> slices(64);
	while (running != 0) {
		upkeep.add_nodes();
		d.domain.settle();
		d.domain.end_period();
		upkeep.trim(2);
		d.domain.for_each_cache_view([&](const CacheView &v) { wrong += v.lcore > 3 && v.lcore != kNoLcore; });
		d.domain.occupancy(slices.data(), 64);
		for (const Occupancy &o : slices)
			wrong += o.live < 0 || o.live > 1.0001f;
		// Parts of a reserved range come and go.
		if (d.domain.reserve(kPage, 4 * kPage) == Status::ok) {
			wrong += d.domain.unreserve(2 * kPage, kPage) != Status::ok;
			wrong += d.domain.unreserve(kPage, kPage) != Status::ok;
			wrong += d.domain.unreserve(3 * kPage, 2 * kPage) != Status::ok;
		}
		std::this_thread::yield();
	}
	for (size_t i = 0; i < threads.size(); ++i)
		threads[i].join();
	d.domain.settle();
	EXPECT_EQ(wrong, 0u);
	EXPECT_EQ(owners.violations(), 0u);
	EXPECT_TRUE(d.domain.verify(stderr));
	const DomainStats s = d.domain.stats();
	EXPECT_EQ(s.live_ranges, 0u);
	EXPECT_EQ(s.reserved_granules, 0u);
	EXPECT_EQ(s.bad_frees, 0u);
	EXPECT_EQ(s.grows, upkeep.chunks());
	d.domain.reclaim();
	EXPECT_EQ(d.domain.stats().tree_nodes, 1u);
	EXPECT_EQ(d.state->depot.granted(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Loads, UpkeepThreadsTest,
			 testing::Values(Beside{"FewNodes", (uint64_t{1} << 30) - 1, 10},
					 Beside{"Exhausted", (uint64_t{1} << 23) - 1, 20000}),
			 [](const auto &p) { return p.param.name; });

}  // namespace
}  // namespace iovad::core
