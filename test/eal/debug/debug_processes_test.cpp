// SPDX-License-Identifier: BSD-3-Clause
// Debug mode where another process shares the domain: what that did is no mistake of anybody's. And memory that
// EAL takes back, which it does only where it has huge pages.
#include <cstdlib>

#include <rte_errno.h>
#include <rte_malloc.h>

#include "../captured_log.h"
#include "../eal_setup.h"
#include "../secondary_peer.h"
#include "../test_domain.h"
#include "iovad/iovad_dma.h"

namespace iovad::test {
namespace {

std::string with(const char *verb, uint64_t a, uint64_t b)
{
	return std::string(verb) + ' ' + std::to_string(a) + ' ' + std::to_string(b);
}

class DebugProcesses : public testing::Test {
protected:
	void SetUp() override
	{
		if (!test_eal_can_share())
			GTEST_SKIP() << "IOVAD_TEST_EAL_ARGS is not set: without --huge-dir processes share no memory";
	}
	// Of both processes, since the environment goes along.
	void make(const char *environment)
	{
		setenv("IOVAD_DEBUG", environment, 1);
		domain_ = std::make_unique<TestDomain>(conf_of_pages(4096));
		peer_ = std::make_unique<Peer>(std::getenv("IOVAD_TEST_PREFIX"));
		EXPECT_EQ(0, peer_->ask(std::string("lookup ") + domain_->name()));
	}
	void TearDown() override
	{
		peer_.reset();
		domain_.reset();
		unsetenv("IOVAD_DEBUG");
	}
	rte_iova_t alloc_there()
	{
		unsigned long long iova = 0;
		EXPECT_EQ(0, peer_->ask(with("alloc", kPage, kNoLimit), &iova));
		return iova;
	}

	std::unique_ptr<TestDomain> domain_;
	std::unique_ptr<Peer> peer_;
};

// A finding would end the process that makes it.
TEST_F(DebugProcesses, WhatOneAllocatesTheOtherMayFree)
{
	make("on,fatal,quarantine=2");
	for (unsigned round = 0; round < 100; ++round) {
		const rte_iova_t theirs = alloc_there(), mine = domain_->alloc(kPage);
		EXPECT_EQ(0, iovad_free(*domain_, theirs, kPage));
		EXPECT_EQ(0, peer_->ask(with("free", mine, kPage)));
		// Their own, at addresses that were here.
		EXPECT_EQ(0, peer_->ask(with("free", alloc_there(), kPage)));
		EXPECT_EQ(0, iovad_free(*domain_, domain_->alloc(kPage), kPage));
	}
	EXPECT_EQ(0, peer_->ask("verify 0 0"));
	EXPECT_EQ(0, peer_->ask("detach 0 0"));
}

TEST_F(DebugProcesses, AFreeOfWhatTheOtherHasFreed)
{
	make("on");
	const rte_iova_t mine = domain_->alloc(kPage);
	EXPECT_EQ(0, peer_->ask(with("free", mine, kPage)));
	Log log;
	EXPECT_EQ(-ENOENT, iovad_free(*domain_, mine, kPage));
	EXPECT_NE(std::string::npos, log.text().find("double free: ")) << log.text();
	EXPECT_NE(std::string::npos, log.text().find("found to be given back by somebody else")) << log.text();
}

TEST_F(DebugProcesses, MemoryThatEalTakesBackWhileItIsMapped)
{
	iovad_domain_conf conf = conf_of(kPage, UINT32_MAX, IOVAD_DOMAIN_F_DEBUG);
	conf.backend = IOVAD_BACKEND_SOFT;
	const TestDomain d(conf);
	// More than EAL has at hand, so that it gets pages, and gives them back.
	constexpr size_t kBytes = 16u << 20;
	void *const memory = rte_malloc("debug", kBytes, 0);
	ASSERT_NE(nullptr, memory);
	rte_iova_t iova;
	ASSERT_EQ(0, iovad_map(d, memory, kBytes, kNoLimit, IOVAD_TO_DEVICE, &iova));
	{
		Log log;
		rte_free(memory);
		EXPECT_NE(std::string::npos, log.text().find("given back: ")) << log.text();
		EXPECT_NE(std::string::npos, log.text().find("expected an unmap before EAL takes back")) << log.text();
	}
	EXPECT_EQ(0, iovad_unmap(d, iova, kBytes));
	// Unmapped before, it is nobody's concern.
	void *const again = rte_malloc("debug", kBytes, 0);
	ASSERT_NE(nullptr, again);
	ASSERT_EQ(0, iovad_map(d, again, kBytes, kNoLimit, IOVAD_TO_DEVICE, &iova));
	EXPECT_EQ(0, iovad_unmap(d, iova, kBytes));
	Log log;
	rte_free(again);
	EXPECT_EQ("", log.text());
}

}  // namespace
}  // namespace iovad::test
