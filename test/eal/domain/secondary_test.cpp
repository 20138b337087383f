// SPDX-License-Identifier: BSD-3-Clause
// Two processes and one domain. Needs memory that processes can share: huge pages, named
// in IOVAD_TEST_EAL_ARGS.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>

#include <rte_errno.h>

#include "../captured_log.h"
#include "../control_poll.h"
#include "../eal_setup.h"
#include "../secondary_peer.h"
#include "../test_domain.h"
#include "iovad/iovad_dma.h"

namespace iovad::test {
namespace {

constexpr uint64_t kPages = 4096;

std::string with(const char *verb, uint64_t a, uint64_t b)
{
	return std::string(verb) + ' ' + std::to_string(a) + ' ' + std::to_string(b);
}

class Secondary : public testing::Test {
protected:
	void SetUp() override
	{
		if (!test_eal_can_share())
			GTEST_SKIP() << "IOVAD_TEST_EAL_ARGS is not set: without --huge-dir processes share no memory";
		iovad_domain_conf conf = conf_of_pages(kPages);
		conf.cache_percent = 50;
		domain_ = std::make_unique<TestDomain>(conf);
	}
	static std::unique_ptr<Peer> start() { return std::make_unique<Peer>(std::getenv("IOVAD_TEST_PREFIX")); }
	std::unique_ptr<Peer> attached()
	{
		auto peer = start();
		EXPECT_EQ(0, peer->ask(std::string("lookup ") + domain_->name()));
		return peer;
	}
	static rte_iova_t alloc(Peer &peer, uint64_t len, uint64_t limit = kNoLimit)
	{
		unsigned long long iova = 0;
		EXPECT_EQ(0, peer.ask(with("alloc", len, limit), &iova));
		return iova;
	}
	void expect_nothing_lost()
	{
		const auto all = domain_->alloc_until(ENOSPC, kPage);
		EXPECT_EQ(kPages, all.size());
		domain_->free_all(all, kPage);
	}

	std::unique_ptr<TestDomain> domain_;
};

TEST_F(Secondary, KnowsOnlyDomainsThatExist)
{
	const auto peer = start();
	EXPECT_EQ(-ENOENT, peer->ask("lookup nobody"));
	EXPECT_EQ(0, peer->ask(std::string("lookup ") + domain_->name()));
	EXPECT_EQ(0, peer->ask(std::string("lookup ") + domain_->name())) << "again";
}

TEST_F(Secondary, CreatesNoDomain)
{
	const auto peer = start();
	EXPECT_EQ(-E_RTE_SECONDARY, peer->ask("create mine"));
	EXPECT_EQ(nullptr, iovad_domain_lookup("mine"));
}

TEST_F(Secondary, AllocatesAndFreesInTheSameSpace)
{
	const auto peer = attached();
	std::vector<rte_iova_t> mine, theirs;
	for (int i = 0; i < 300; ++i) {
		mine.push_back(domain_->alloc(kPage));
		theirs.push_back(alloc(*peer, kPage));
	}
	std::vector<rte_iova_t> all = mine;
	all.insert(all.end(), theirs.begin(), theirs.end());
	std::sort(all.begin(), all.end());
	EXPECT_EQ(all.end(), std::adjacent_find(all.begin(), all.end())) << "owned twice";
	EXPECT_EQ(600u, stats_of(*domain_).live_ranges);
	EXPECT_EQ(0, peer->ask("verify"));
	// Each frees what the other allocated.
	domain_->free_all(theirs, kPage);
	for (const rte_iova_t iova : mine)
		EXPECT_EQ(0, peer->ask(with("free", iova, kPage)));
	EXPECT_EQ(0u, stats_of(*domain_).live_ranges);
	EXPECT_EQ(0, peer->ask("verify"));
	expect_nothing_lost();
}

TEST_F(Secondary, RefusesWhatThePrimaryRefuses)
{
	const auto peer = attached();
	EXPECT_EQ(-EINVAL, peer->ask(with("alloc", 1, kNoLimit)));
	EXPECT_EQ(-EINVAL, peer->ask(with("alloc", kPage, 0)));
	EXPECT_EQ(-ENOSPC, peer->ask(with("alloc", kPages * kPage, kNoLimit)));
	EXPECT_EQ(-EINVAL, peer->ask(with("free", 0, kPage)));
}

TEST_F(Secondary, LcoresOfOneNumberHaveCachesOfTheirOwn)
{
	const auto peer = attached();
	EXPECT_EQ(0, peer->ask(with("fill", kPage, 20)));
	const uint64_t cached = stats_of(*domain_).cached_ranges;
	domain_->free_all({domain_->alloc(kPage)}, kPage);
	EXPECT_GT(stats_of(*domain_).cached_ranges, cached);
	EXPECT_EQ(0, iovad_verify(*domain_, stderr));
}

TEST_F(Secondary, KeepsTheDomainFromBeingDestroyedUntilItDetaches)
{
	const auto peer = attached();
	EXPECT_EQ(-EBUSY, iovad_domain_destroy(*domain_));
	EXPECT_EQ(0, peer->ask(with("fill", kPage, 100)));
	EXPECT_EQ(0, peer->ask("detach"));
	EXPECT_EQ(0, peer->ask(std::string("lookup ") + domain_->name())) << "attached again";
	EXPECT_EQ(0, peer->ask("detach"));
}

// What it writes, when it enters itself, must not be another's by then.
TEST_F(Secondary, AttachesBesideADomainThatComesAndGoes)
{
	const auto peer = start();
	const Log refusals;
	iovad_domain_conf conf = conf_of_pages(kPages);
	conf.name = "comes-and-goes";
	std::atomic<bool> done = false;
	std::thread visitor([&] {
		EXPECT_EQ(0, peer->ask("visit comes-and-goes 20000"));
		done = true;
	});
	while (!done) {
		iovad_domain *const d = iovad_domain_create(&conf);
		EXPECT_NE(nullptr, d) << rte_errno;
		if (!d)
			break;
		while (const int rc = iovad_domain_destroy(d)) {
			EXPECT_EQ(-EBUSY, rc);
			std::this_thread::yield();
		}
	}
	visitor.join();
}

TEST_F(Secondary, GivesItsCachesBackWhenItDetaches)
{
	const auto peer = attached();
	EXPECT_EQ(0, peer->ask(with("fill", kPage, 60)));
	ASSERT_GT(stats_of(*domain_).cached_ranges, 0u);
	EXPECT_EQ(0, peer->ask("detach"));
	EXPECT_EQ(0u, stats_of(*domain_).cached_ranges);
}

TEST_F(Secondary, WhatAKilledOneHadInItsCachesIsRecovered)
{
	const auto peer = attached();
	const rte_iova_t lost = alloc(*peer, kPage);
	EXPECT_EQ(0, peer->ask(with("fill", kPage, 300)));
	ASSERT_GT(stats_of(*domain_).cached_ranges, 200u);
	peer->kill();
	EXPECT_EQ(0, iovad_verify(*domain_, stderr));
	const auto all = domain_->alloc_until(ENOSPC, kPage);
	EXPECT_EQ(kPages - 1, all.size()) << "all but what it had been handed out";
	domain_->free_all(all, kPage);
	// Whoever knows that the process is dead may free that too.
	EXPECT_EQ(0, iovad_free(*domain_, lost, kPage));
	expect_nothing_lost();
}

// Its caches as well, and nobody has to run out of addresses for it.
TEST_F(Secondary, TheControlLcoreTakesBackWhatAKilledOneHad)
{
	const auto peer = attached();
	const rte_iova_t lost = alloc(*peer, kPage);
	EXPECT_EQ(0, peer->ask(with("fill", kPage, 300)));
	ASSERT_GT(stats_of(*domain_).cached_ranges, 200u);
	Log log;
	peer->kill();
	poll_until([&] { return stats_of(*domain_).cached_ranges == 0; });
	EXPECT_NE(std::string::npos, log.text().find("1 processes died without detaching: 1 caches")) << log.text();
	EXPECT_EQ(1u, stats_of(*domain_).live_ranges) << "what it had been handed out";
	EXPECT_EQ(0, iovad_free(*domain_, lost, kPage));
	expect_nothing_lost();
}

TEST_F(Secondary, DoesNotMakeASoftwareIommuFail)
{
	iovad_domain_conf conf = conf_of(0, 0);
	conf.backend = IOVAD_BACKEND_SOFT;
	TestDomain d(conf);
	const auto peer = start();
	ASSERT_EQ(0, peer->ask(std::string("lookup ") + d.name()));
	EXPECT_EQ(-ENOTSUP, peer->ask("fail_every 1"));
	EXPECT_EQ(0, peer->ask("detach"));
}

TEST_F(Secondary, OthersGoOnAfterOneIsKilled)
{
	const auto dead = attached();
	EXPECT_EQ(0, dead->ask(with("fill", kPage, 300)));
	dead->kill();
	const auto other = attached();
	EXPECT_EQ(0, other->ask(with("fill", kPage, 2000)));
	EXPECT_EQ(0, other->ask("verify"));
	EXPECT_EQ(0, other->ask("detach"));
}

TEST_F(Secondary, ExhaustionInThePrimaryReclaimsItsCaches)
{
	const auto peer = attached();
	EXPECT_EQ(0, peer->ask(with("fill", kPage, 500)));
	ASSERT_GT(stats_of(*domain_).cached_ranges, 200u);
	expect_nothing_lost();
	// And the other way round.
	EXPECT_EQ(0, peer->ask(with("fill", kPage, kPages)));
	EXPECT_EQ(0, peer->ask("detach"));
}

// What the primary has mapped all find, also what was mapped after they came; none else maps.
TEST_F(Secondary, LooksUpWhatThePrimaryMaps)
{
	iovad_domain_conf conf = conf_of(0, 0);
	conf.backend = IOVAD_BACKEND_SOFT;
	TestDomain d(conf);
	const auto peer = start();
	ASSERT_EQ(0, peer->ask(std::string("lookup ") + d.name()));
	constexpr uint64_t kVa = 0x7f0000000000;
	const auto ask = [&](const char *verb, uint64_t a, uint64_t b) {
		unsigned long long answer = 0;
		EXPECT_EQ(0, peer->ask(with(verb, a, b), &answer));
		return answer;
	};
	std::vector<rte_iova_t> iovas;
	// Far apart, so that tables are added.
	for (uint64_t i = 0; i < 60; ++i) {
		const uint64_t va = kVa + (i << 33) + 5;
		rte_iova_t iova = 0;
		ASSERT_EQ(0, iovad_map(d, reinterpret_cast<void *>(va), 2 * kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &iova));
		EXPECT_EQ(iova + 7, ask("va2iova", va + 7, kPage));
		EXPECT_EQ(va + 7, ask("iova2va", iova + 7, kPage));
		iovas.push_back(iova);
	}
	EXPECT_EQ(-ENOTSUP, peer->ask(with("map", kVa, kPage)));
	EXPECT_EQ(-ENOTSUP, peer->ask(with("unmap", iovas[0], 2 * kPage)));
	EXPECT_EQ(-ENOTSUP, peer->ask(with("region", kVa, kPage)));
	EXPECT_EQ(-ENOTSUP, peer->ask(with("unregion", kVa, kPage)));
	EXPECT_EQ(-ENOTSUP, peer->ask("refresh"));
	EXPECT_EQ(0, peer->ask("verify"));
	for (const rte_iova_t iova : iovas)
		EXPECT_EQ(0, iovad_unmap(d, iova, 2 * kPage));
	EXPECT_EQ(RTE_BAD_IOVA, ask("va2iova", kVa + 5, 1));
	EXPECT_EQ(0u, ask("iova2va", iovas[0], 1));
	EXPECT_EQ(0, peer->ask("detach"));
}

}  // namespace
}  // namespace iovad::test
