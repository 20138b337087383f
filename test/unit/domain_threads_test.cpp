// SPDX-License-Identifier: BSD-3-Clause
// Many threads in one domain, each an lcore or none, with an owner recorded for every
// granule: two owners at once is what must never happen. More threads than CPUs, so that
// some are off the CPU inside their caches while others reclaim.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "domain_fixture.h"

namespace iovad::core {
namespace {

constexpr uint64_t kPage = OwnedDomain::kGranule;
constexpr uint64_t kNoLimit = ~uint64_t{0};

// Which thread owns each granule of a domain; counts what is owned twice.
class Owners {
public:
	explicit Owners(uint64_t granules) : owner_(new std::atomic<uint8_t>[granules]{}) {}

	void take(uint64_t iova, uint64_t len)
	{
		for (uint64_t p = iova / kPage; p < (iova + len) / kPage; ++p)
			violations_ += owner_[p].exchange(1) != 0;
	}
	void give(uint64_t iova, uint64_t len)
	{
		for (uint64_t p = iova / kPage; p < (iova + len) / kPage; ++p)
			violations_ += owner_[p].exchange(0) != 1;
	}
	uint64_t violations() const { return violations_; }

private:
	std::unique_ptr<std::atomic<uint8_t>[]> owner_;
	std::atomic<uint64_t> violations_ = 0;
};

struct Held {
	uint64_t iova, len;
};

class Worker {
public:
	Worker(OwnedDomain &d, Owners &owners, unsigned lcore, uint64_t seed, size_t most)
		: domain_(d.domain), owners_(owners), lcore_(lcore), random_(seed), most_(most)
	{
	}

	void run(int steps)
	{
		for (int i = 0; i < steps; ++i) {
			if (held_.size() < most_ && random_.below(100) < 52)
				take();
			else if (!held_.empty())
				give();
			if (random_.below(64) == 0)
				bulk();
		}
		while (!held_.empty())
			give();
	}
	uint64_t refused = 0, wrong = 0;

private:
	void take()
	{
		const uint64_t len = (1 + random_.below(random_.below(4) ? 2 : 80)) * kPage;
		uint64_t iova;
		const Status status = domain_.alloc(lcore_, len, kNoLimit, iova);
		if (status == Status::ok) {
			owners_.take(iova, len);
			held_.push_back({iova, len});
		} else {
			++(status == Status::no_space ? refused : wrong);
		}
	}
	void give()
	{
		std::swap(held_[random_.below(held_.size())], held_.back());
		const Held h = held_.back();
		held_.pop_back();
		owners_.give(h.iova, h.len);
		wrong += domain_.free(lcore_, h.iova, h.len) != Status::ok;
	}
	void bulk()
	{
		uint64_t iovas[48];
		const unsigned n = 1 + static_cast<unsigned>(random_.below(48));
		if (domain_.alloc_bulk(lcore_, kPage, kNoLimit, iovas, n) != Status::ok) {
			++refused;
			return;
		}
		for (unsigned i = 0; i < n; ++i)
			owners_.take(iovas[i], kPage);
		for (unsigned i = 0; i < n; ++i)
			owners_.give(iovas[i], kPage);
		wrong += domain_.free_bulk(lcore_, iovas, kPage, n) != Status::ok;
	}

	Domain &domain_;
	Owners &owners_;
	unsigned lcore_;
	Random random_;
	size_t most_;
	std::vector<Held> held_;
};

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
