// SPDX-License-Identifier: BSD-3-Clause
// Many threads in one domain. More than CPUs, so that some are off the CPU inside their
// caches while others reclaim.
#include <gtest/gtest.h>

#include <thread>

#include "domain_workers.h"

namespace iovad::core {
namespace {

struct Load {
	const char *name;
	unsigned lcores, plain;
	uint64_t last_byte;
	size_t held_each;
	int steps;
	bool upkeep;  // verify, release and reserve beside
};

class DomainThreadsTest : public testing::TestWithParam<Load> {};

TEST_P(DomainThreadsTest, NothingIsOwnedTwice)
{
	const Load &load = GetParam();
	OwnedDomain d(OwnedDomain::config(load.last_byte));
	Owners owners((load.last_byte + 1) / kPage);
	std::vector<std::unique_ptr<Worker>> workers;
	for (unsigned i = 0; i < load.lcores + load.plain; ++i) {
		workers.push_back(std::make_unique<Worker>(d, owners, i < load.lcores ? i : kNoLcore, i,
							   load.held_each));
	}
	std::atomic<unsigned> running = static_cast<unsigned>(workers.size());
	std::vector<std::thread> threads;
	for (auto &worker : workers) {
		threads.emplace_back([&] {
			worker->run(load.steps);
			--running;
		});
	}
	uint64_t checks = 0, wrong = 0;
	while (load.upkeep && running != 0) {
		wrong += !d.domain.verify(stderr);
		d.domain.reclaim();
		// One granule at the bottom comes and goes.
		if (d.domain.reserve(kPage, kPage) == Status::ok)
			wrong += d.domain.unreserve(kPage, kPage) != Status::ok;
		++checks;
		std::this_thread::yield();
	}
	uint64_t refused = 0;
	for (size_t i = 0; i < threads.size(); ++i) {
		threads[i].join();
		refused += workers[i]->refused;
		wrong += workers[i]->wrong;
	}
	EXPECT_EQ(owners.violations(), 0u);
	EXPECT_EQ(wrong, 0u);
	EXPECT_EQ(d.domain.stats().live_ranges, 0u);
	EXPECT_TRUE(d.domain.verify(stderr));
	EXPECT_EQ(checks > 0, load.upkeep);
	if (load.last_byte < (uint64_t{1} << 25)) {
		EXPECT_GT(refused, 0u) << "the space was to run out";
		EXPECT_GT(d.domain.stats().reclaims, 0u);
	}
	d.domain.reclaim();
	EXPECT_EQ(d.domain.stats().cached_ranges, 0u);
	EXPECT_EQ(d.domain.stats().tree_nodes, 1u);
	EXPECT_EQ(d.domain.stats().bad_frees, 0u);
}

INSTANTIATE_TEST_SUITE_P(
	Loads, DomainThreadsTest,
	testing::Values(Load{"Roomy", 4, 2, (uint64_t{1} << 30) - 1, 300, 300000, false},
			Load{"Exhausted", 4, 2, (uint64_t{1} << 24) - 1, 400, 150000, false},
			Load{"WithUpkeep", 3, 2, (uint64_t{1} << 26) - 1, 100, 200000, true},
			Load{"ExhaustedWithUpkeep", 3, 2, (uint64_t{1} << 23) - 1, 400, 150000, true}),
	[](const auto &p) { return p.param.name; });

// One lcore takes, another gives back.
TEST(DomainThreadsTest, AddressesCrossFromLcoreToLcore)
{
	constexpr int kRounds = 200000;
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 30) - 1));
	Owners owners(uint64_t{1} << 18);
	std::atomic<uint64_t> mailbox[64] = {};
	std::thread giver([&] {
		for (int i = 0; i < kRounds; ++i) {
			uint64_t iova;
			while ((iova = mailbox[i % 64].exchange(0, std::memory_order_acquire)) == 0)
				std::this_thread::yield();
			owners.give(iova, kPage);
			d.domain.free(1, iova, kPage);
		}
	});
	for (int i = 0; i < kRounds; ++i) {
		uint64_t iova = 0;
		EXPECT_EQ(d.domain.alloc(0, kPage, kNoLimit, iova), Status::ok);
		owners.take(iova, kPage);
		while (mailbox[i % 64].load(std::memory_order_relaxed) != 0)
			std::this_thread::yield();
		mailbox[i % 64].store(iova, std::memory_order_release);
	}
	giver.join();
	EXPECT_EQ(owners.violations(), 0u);
	EXPECT_EQ(d.domain.stats().live_ranges, 0u);
	EXPECT_TRUE(d.domain.verify(stderr));
	EXPECT_LT(d.domain.stats().tree_allocs, uint64_t{kRounds} / 4) << "addresses came back";
}

}  // namespace
}  // namespace iovad::core
