// SPDX-License-Identifier: BSD-3-Clause
// Lcores, plain threads and registered threads at work on one domain. A map of who owns
// which page tells whether an address was ever handed out twice.
//
//   IOVAD_TEST_SCALE=X  X times as many rounds
#include <bit>
#include <cstdlib>
#include <memory>

#include "../crew.h"
#include "../test_domain.h"
#include "workload.h"

namespace iovad::test {
namespace {

unsigned rounds(unsigned n)
{
	static const char *const given = std::getenv("IOVAD_TEST_SCALE");
	const double scale = given ? std::atof(given) : 1;
	return std::max(1u, static_cast<unsigned>(n * scale));
}

// Occupied by a request.
uint64_t block(uint64_t len) { return std::bit_ceil(len); }

class Concurrency : public testing::Test {
protected:
	void make(uint64_t pages, uint32_t percent = 0, uint32_t flags = 0)
	{
		iovad_domain_conf conf = conf_of_pages(pages, flags);
		conf.cache_percent = percent;
		domain_ = std::make_unique<TestDomain>(conf);
		owners_ = std::make_unique<Ownership>(pages);
		pages_ = pages;
	}
	iovad_domain *d() const { return *domain_; }
	bool alloc(uint64_t len, rte_iova_t &iova)
	{
		if (iovad_alloc(d(), len, kNoLimit, &iova) != 0)
			return false;
		owners_->take(iova, block(len));
		return true;
	}
	void free(rte_iova_t iova, uint64_t len)
	{
		owners_->give_back(iova, block(len));
		wrong_ += iovad_free(d(), iova, len) != 0;
	}
	// After all have come to their end, nothing is owned and all of it can be had.
	void TearDown() override
	{
		EXPECT_EQ(0u, owners_->violations());
		EXPECT_EQ(0u, wrong_);
		const iovad_domain_stats s = stats_of(d());
		EXPECT_EQ(0u, s.live_ranges);
		EXPECT_EQ(0u, s.bad_frees);
		EXPECT_EQ(pages_ * kPage, s.cached_bytes + s.free_bytes + s.reserved_bytes);
		EXPECT_EQ(0, iovad_verify(d(), stderr));
		rte_iova_t iova;
		EXPECT_EQ(0, iovad_alloc_range(d(), pages_ * kPage, kPage, kNoLimit, &iova));
		EXPECT_EQ(0, iovad_free_range(d(), iova, pages_ * kPage));
	}

	std::unique_ptr<TestDomain> domain_;
	std::unique_ptr<Ownership> owners_;
	uint64_t pages_ = 0;
	std::atomic<unsigned> wrong_ = 0;  // calls that must not fail and did
};

class ConcurrencyOf : public Concurrency, public testing::WithParamInterface<uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Domains, ConcurrencyOf, testing::Values(0u, IOVAD_DOMAIN_F_NO_CACHE),
			 [](const auto &p) { return p.param == 0 ? "Cached" : "NoCache"; });

TEST_P(ConcurrencyOf, NoAddressIsOwnedTwice)
{
	make(1 << 16, 0, GetParam());
	Crew::run([&](unsigned actor) {
		Worker worker(actor, 200, 7, [&](auto len, auto &iova) { return alloc(len, iova); },
			      [&](auto iova, auto len) { free(iova, len); });
		for (unsigned i = rounds(60000); i > 0; --i)
			worker.step();
	});
}

TEST_P(ConcurrencyOf, NoAddressIsOwnedTwiceWhileTheSpaceIsExhausted)
{
	make(1000, 50, GetParam());
	Crew::run([&](unsigned actor) {
		Worker worker(actor, 1000, 3, [&](auto len, auto &iova) { return alloc(len, iova); },
			      [&](auto iova, auto len) { free(iova, len); });
		for (unsigned i = rounds(12000); i > 0; --i) {
			for (int burst = 0; burst < 8; ++burst)
				worker.step();
		}
	});
	EXPECT_EQ(GetParam() == 0, stats_of(d()).reclaims > 0) << "or nothing was tested";
}

// Even actors allocate, odd ones free.
TEST_P(ConcurrencyOf, WhatOneAllocatesAnotherFrees)
{
	make(1 << 16, 0, GetParam());
	Mailbox mailbox;
	std::atomic<unsigned> allocating = 0;
	Crew::run(
		[&](unsigned actor) {
			if (actor % 2 == 0) {
				for (unsigned i = rounds(60000); i > 0; --i) {
					rte_iova_t iova;
					if (!alloc(kPage, iova))
						continue;
					while (!mailbox.post(iova))
						sched_yield();
				}
				--allocating;
				return;
			}
			for (;;) {
				const bool last = allocating == 0;
				if (const rte_iova_t iova = mailbox.collect())
					free(iova, kPage);
				else if (last)
					return;
				else
					sched_yield();
			}
		},
		[&](unsigned actor) { allocating += actor % 2 == 0; });
}

// Never more is asked for than there is: nobody may be told that there is no space,
// wherever caches have put it.
TEST_F(Concurrency, DemandWithinTheCapacityIsAlwaysMet)
{
	constexpr unsigned kPages = 256;
	make(kPages, 50);
	std::atomic<int> tickets = kPages;  // one per page that is free, wherever
	std::atomic<unsigned> failed = 0, asked = 0;
	Crew::run([&](unsigned actor) {
		std::mt19937 random(actor);
		std::vector<rte_iova_t> held;
		const auto give_back_down_to = [&](size_t target) {
			for (; held.size() > target; held.pop_back()) {
				free(held.back(), kPage);
				++tickets;
			}
		};
		for (unsigned i = rounds(20000); i > 0; --i) {
			const size_t target = random() % (kPages / 3);
			while (held.size() < target) {
				if (--tickets < 0) {
					++tickets;
					break;
				}
				++asked;
				rte_iova_t iova;
				if (!alloc(kPage, iova)) {
					++failed;
					++tickets;
					break;
				}
				held.push_back(iova);
			}
			give_back_down_to(target);
		}
		give_back_down_to(0);
	});
	EXPECT_EQ(0u, failed) << "of " << asked << " requests";
}

TEST_F(Concurrency, BulkIsAllOrNothing)
{
	make(900, 25);
	Crew::run([&](unsigned actor) {
		std::mt19937 random(actor);
		for (unsigned i = rounds(600); i > 0; --i) {
			rte_iova_t iovas[1024];
			const unsigned n = random() % 1024 + 1;
			if (iovad_alloc_bulk(d(), kPage, kNoLimit, iovas, n) != 0)
				continue;
			for (unsigned k = 0; k < n; ++k)
				owners_->take(iovas[k], kPage);
			for (unsigned k = 0; k < n; ++k)
				owners_->give_back(iovas[k], kPage);
			wrong_ += iovad_free_bulk(d(), iovas, kPage, n) != 0;
		}
	});
	EXPECT_GT(stats_of(d()).fail_nospace, 0u) << "or the other half was not tested";
}

TEST_F(Concurrency, VerifyAndStatisticsMayRunBesideEverything)
{
	make(1 << 14);
	std::atomic<unsigned> working = 0;
	Crew::run(
		[&](unsigned actor) {
			if (actor == 0) {
				iovad_domain_stats s;
				do {
					wrong_ += iovad_verify(d(), stderr) != 0;
					wrong_ += iovad_domain_stats_get(d(), &s) != 0;
				} while (working > 0);
				return;
			}
			{
				Worker worker(actor, 300, 7, [&](auto len, auto &iova) { return alloc(len, iova); },
					      [&](auto iova, auto len) { free(iova, len); });
				for (unsigned i = rounds(30000); i > 0; --i)
					worker.step();
			}
			--working;
		},
		[&](unsigned actor) { working += actor != 0; });
}

TEST_F(Concurrency, WhatIsReservedIsNobodysElse)
{
	make(4096);
	std::atomic<unsigned> working = 0;
	Crew::run(
		[&](unsigned actor) {
			std::mt19937 random(actor);
			if (actor < 2) {
				for (bool done = false; working > 0 || !done;) {
					// Of the two who reserve, each in its half: what touches merges.
					const rte_iova_t iova = (1 + actor * 2048 + random() % 2040) * kPage;
					const uint64_t len = (1 + random() % 8) * kPage;
					if (iovad_reserve(d(), iova, len) != 0)
						continue;
					done = true;
					owners_->take(iova, len);
					owners_->give_back(iova, len);
					wrong_ += iovad_unreserve(d(), iova, len) != 0;
				}
				return;
			}
			{
				Worker worker(actor, 100, 4, [&](auto len, auto &iova) { return alloc(len, iova); },
					      [&](auto iova, auto len) { free(iova, len); });
				for (unsigned i = rounds(30000); i > 0; --i)
					worker.step();
			}
			--working;
		},
		[&](unsigned actor) { working += actor >= 2; });
}

// Exact ranges beside cached ones.
TEST_F(Concurrency, RangesAndBlocksShareTheSpace)
{
	make(1 << 13, 30);
	Crew::run([&](unsigned actor) {
		const auto range = [&](uint64_t len, rte_iova_t &iova) {
			if (iovad_alloc_range(d(), len, kPage, kNoLimit, &iova) != 0)
				return false;
			owners_->take(iova, len);
			return true;
		};
		const auto free_range = [&](rte_iova_t iova, uint64_t len) {
			owners_->give_back(iova, len);
			wrong_ += iovad_free_range(d(), iova, len) != 0;
		};
		Worker blocks(actor, 100, 7, [&](auto len, auto &iova) { return alloc(len, iova); },
			      [&](auto iova, auto len) { free(iova, len); });
		Worker ranges(actor, 100, 9, range, free_range);
		for (unsigned i = rounds(20000); i > 0; --i) {
			blocks.step();
			ranges.step();
		}
	});
}

TEST_F(Concurrency, ThreadsComeAndGoWhileOthersWork)
{
	make(1 << 14);
	Crew::run([&](unsigned actor) {
		for (unsigned generation = 0; generation < rounds(20); ++generation) {
			std::thread([&] {
				const bool registered = rte_thread_register() == 0;
				{
					Worker worker(actor * 1000 + generation, 50, 5,
						      [&](auto len, auto &iova) { return alloc(len, iova); },
						      [&](auto iova, auto len) { free(iova, len); });
					for (int i = 0; i < 300; ++i)
						worker.step();
				}
				if (registered)
					rte_thread_unregister();
			}).join();
		}
	});
	EXPECT_EQ(0u, stats_of(d()).live_ranges);
}

}  // namespace
}  // namespace iovad::test
