// SPDX-License-Identifier: BSD-3-Clause
// 128 lcores in one domain. A few threads play them all, each its own ones in turn.
#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <thread>

#include "domain_workers.h"

namespace iovad::core {
namespace {

constexpr unsigned kLcores = 128, kThreads = 4;
constexpr unsigned kGranules = 16383;  // of the domain: all may be live

DomainConfig config()
{
	DomainConfig c = OwnedDomain::config((kGranules + 1) * kPage - 1);
	c.caches = kLcores;
	c.magazines = 4 * kLcores;
	c.cache_percent = 50;
	return c;
}

unsigned caches_that_hold_something(const OwnedDomain &d)
{
	unsigned n = 0;
	d.domain.for_each_cache_view([&](const CacheView &v) {
		n += v.lcore != kNoLcore && std::any_of(v.cached, v.cached + kBins, [](uint32_t c) { return c != 0; });
	});
	return n;
}

// All of it is taken, by all lcores in turn or by one; and given back, each by another than took it.
TEST(LimitsLcoresTest, AllThereIsCanBeHadWhateverCachesHold)
{
	OwnedDomain d(config());
	std::vector<uint64_t> a(kGranules);
	Random random(128);
	for (unsigned round = 0; round < 12; ++round) {
		const bool by_one = round % 3 == 2;
		for (size_t i = 0; i < a.size(); ++i) {
			const unsigned lcore = by_one ? round : i % kLcores;
			ASSERT_EQ(d.domain.alloc(lcore, kPage, kNoLimit, a[i]), Status::ok) << i << " in round " << round;
		}
		uint64_t iova;
		EXPECT_EQ(d.domain.alloc(round, kPage, kNoLimit, iova), Status::no_space) << "there is no more";
		EXPECT_EQ(d.domain.stats().live_ranges, kGranules);
		EXPECT_EQ(d.domain.stats().cached_ranges, 0u);
		for (size_t i = a.size(); i > 1; --i)
			std::swap(a[i - 1], a[random.below(i)]);
		for (size_t i = 0; i < a.size(); ++i)
			ASSERT_EQ(d.domain.free((i + round) % kLcores, a[i], kPage), Status::ok);
		EXPECT_GE(caches_that_hold_something(d), kLcores / 4);
		EXPECT_LE(d.domain.stats().cached_granules, kGranules / 2);
		EXPECT_EQ(d.domain.stats().live_ranges, 0u);
		ASSERT_TRUE(d.domain.verify(stderr));
	}
	std::sort(a.begin(), a.end());
	for (size_t i = 0; i < a.size(); ++i)
		ASSERT_EQ(a[i], (i + 1) * kPage) << "each once";
	EXPECT_EQ(d.domain.stats().fail_nospace, 12u);
}

TEST(LimitsLcoresTest, LcoresThatLeaveMakeWayForOthers)
{
	OwnedDomain d(config());
	for (unsigned lcore = 0; lcore < 2 * kLcores; ++lcore) {
		if (lcore >= kLcores)
			d.domain.release_lcore(lcore - kLcores);
		uint64_t iova = 0;
		ASSERT_EQ(d.domain.alloc(lcore, kPage, kNoLimit, iova), Status::ok);
		ASSERT_EQ(d.domain.free(lcore, iova, kPage), Status::ok);
	}
	unsigned served = 0;
	d.domain.for_each_cache_view([&](const CacheView &v) { served += v.lcore >= kLcores && v.lcore < 2 * kLcores; });
	EXPECT_EQ(served, kLcores);
	EXPECT_EQ(d.domain.stats().live_ranges, 0u);
	EXPECT_TRUE(d.domain.verify(stderr));
}

// What threads hand to each other, so that it is given back by another lcore.
class Exchange {
public:
	void put(uint64_t iova)
	{
		const std::lock_guard<std::mutex> guard(mutex_);
		all_.push_back(iova);
	}
	bool take(uint64_t &iova)
	{
		const std::lock_guard<std::mutex> guard(mutex_);
		if (all_.empty())
			return false;
		iova = all_.back();
		all_.pop_back();
		return true;
	}

private:
	std::mutex mutex_;
	std::vector<uint64_t> all_;
};

// A thread that plays the lcores whose number leaves `which` when divided by kThreads.
class Player {
public:
	Player(OwnedDomain &d, Owners &owners, Exchange &exchange, std::atomic<unsigned> &live, unsigned which)
		: domain_(d.domain), owners_(owners), exchange_(exchange), live_(live), which_(which), random_(which)
	{
	}

	// Now it takes more than it gives, now less: what is live goes up to all there is, even where one thread
	// runs after the other, and down.
	void run(int steps)
	{
		for (int i = 0; i < steps; ++i) {
			if (random_.below(100) < (i / 50000 % 2 == 0 ? 70 : 30))
				take();
			else
				give();
			if (random_.below(16) == 0 && !held_.empty()) {
				exchange_.put(held_.back());
				held_.pop_back();
			}
		}
	}
	void give_all()
	{
		while (give())
			;
	}
	uint64_t refused = 0, wrong = 0, taken = 0, full = 0;

private:
	unsigned any_lcore() { return which_ + kThreads * static_cast<unsigned>(random_.below(kLcores / kThreads)); }
	void take()
	{
		// Never more at once than there is, whoever asks.
		if (live_.fetch_add(1) >= kGranules) {
			--live_;
			++full;
			return;
		}
		uint64_t iova;
		const Status status = domain_.alloc(any_lcore(), kPage, kNoLimit, iova);
		if (status != Status::ok) {
			--live_;
			++(status == Status::no_space ? refused : wrong);
			return;
		}
		++taken;
		owners_.take(iova, kPage);
		held_.push_back(iova);
	}
	bool give()
	{
		uint64_t iova;
		if (!exchange_.take(iova)) {
			if (held_.empty())
				return false;
			std::swap(held_[random_.below(held_.size())], held_.back());
			iova = held_.back();
			held_.pop_back();
		}
		owners_.give(iova, kPage);
		wrong += domain_.free(any_lcore(), iova, kPage) != Status::ok;
		--live_;
		return true;
	}

	Domain &domain_;
	Owners &owners_;
	Exchange &exchange_;
	std::atomic<unsigned> &live_;
	unsigned which_;
	Random random_;
	std::vector<uint64_t> held_;
};

TEST(LimitsLcoresTest, DemandWithinCapacityIsNeverRefused)
{
	OwnedDomain d(config());
	Owners owners(kGranules + 1);
	Exchange exchange;
	std::atomic<unsigned> live = 0;
	std::vector<std::unique_ptr<Player>> players;
	for (unsigned i = 0; i < kThreads; ++i)
		players.push_back(std::make_unique<Player>(d, owners, exchange, live, i));
	std::vector<std::thread> threads;
	for (auto &player : players)
		threads.emplace_back([&player] { player->run(200000); });
	for (std::thread &thread : threads)
		thread.join();
	EXPECT_EQ(d.domain.stats().live_ranges, live);
	EXPECT_TRUE(d.domain.verify(stderr));
	uint64_t refused = 0, wrong = 0, full = 0;
	for (auto &player : players) {
		player->give_all();
		refused += player->refused;
		wrong += player->wrong;
		full += player->full;
	}
	EXPECT_EQ(refused, 0u);
	EXPECT_EQ(wrong, 0u);
	EXPECT_GT(full, 0u) << "all there is was to be live";
	EXPECT_GT(d.domain.stats().reclaims, 0u) << "caches were to hold what others wanted";
	EXPECT_EQ(owners.violations(), 0u);
	EXPECT_EQ(live, 0u);
	EXPECT_EQ(d.domain.stats().live_ranges, 0u);
	EXPECT_TRUE(d.domain.verify(stderr));
	d.domain.reclaim();
	EXPECT_EQ(d.domain.stats().cached_ranges, 0u);
	EXPECT_EQ(d.domain.stats().free_granules, kGranules);
	EXPECT_EQ(d.domain.stats().tree_nodes, 1u);
	EXPECT_EQ(d.domain.stats().bad_frees, 0u);
}

}  // namespace
}  // namespace iovad::core
