// SPDX-License-Identifier: BSD-3-Clause
// What pools are told, by the environment and by their own settings, and what is refused.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

#include <rte_eal.h>

#include "driver_fixture.h"
#include "iovad/iovad_dma.h"

namespace iovad::test {

namespace {

constexpr uint64_t k4GiB = uint64_t{1} << 32;

struct Window {
	uint64_t first, last;
	std::vector<uint64_t> starts;
};

void check_mbuf(rte_mempool *, void *window, void *object, unsigned)
{
	auto *w = static_cast<Window *>(window);
	const auto *mbuf = static_cast<rte_mbuf *>(object);
	const uint64_t iova = rte_mbuf_iova_get(mbuf);
	ASSERT_GE(iova, w->first);
	ASSERT_LE(iova + mbuf->buf_len - 1, w->last);
	// EAL's own notion of the object's address agrees.
	ASSERT_EQ(rte_mempool_virt2iova(mbuf) + sizeof(rte_mbuf), iova);
	iovad_domain *d = domain_named("mempool");
	ASSERT_EQ(iovad_va2iova(d, mbuf->buf_addr, mbuf->buf_len), iova);
	ASSERT_EQ(iovad_iova2va(d, iova, mbuf->buf_len), mbuf->buf_addr);
	w->starts.push_back(iova);
}

void expect_mbufs_within(const Pool &pool, Window window)
{
	ASSERT_TRUE(pool) << rte_strerror(rte_errno);
	for_each_mbuf(pool, check_mbuf, &window);
	std::sort(window.starts.begin(), window.starts.end());
	for (size_t i = 1; i < window.starts.size(); ++i)
		ASSERT_GE(window.starts[i] - window.starts[i - 1], RTE_MBUF_DEFAULT_BUF_SIZE);
}

TEST_F(MempoolDriverTest, PutsEveryMbufBelowTheLimit)
{
	configure("backend=soft,limit=0xffffffff");
	expect_mbufs_within(mbuf_pool("limit"), {4096, k4GiB - 1, {}});
}

TEST_F(MempoolDriverTest, PutsEveryMbufIntoTheWindow)
{
	configure("backend=soft,first=0x40000000,last=0x4fffffff");
	expect_mbufs_within(mbuf_pool("window", 256), {0x40000000, 0x4fffffff, {}});
}

TEST_F(MempoolDriverTest, CountsNumbersAsCDoes)
{
	configure("backend=soft,first=1073741824,last=010000000000");
	EXPECT_FALSE(mbuf_pool("octal"));  // the window holds one granule
	configure("backend=soft,first=1073741824,last=0x7fffffff");
	expect_mbufs_within(mbuf_pool("decimal"), {0x40000000, 0x7fffffff, {}});
}

TEST_F(MempoolDriverTest, TheSettingsOfAPoolWinOverTheEnvironment)
{
	configure("backend=soft,limit=0xffffffff,domain=env");
	const Pool pool = pool_with("wins", "limit=0x7fffffff,domain=own");
	ASSERT_TRUE(pool) << rte_strerror(rte_errno);
	EXPECT_EQ(domain_named("env"), nullptr);
	iovad_domain *d = domain_named("own");
	ASSERT_NE(d, nullptr);
	const auto *chunk = STAILQ_FIRST(&pool->mem_list);
	EXPECT_LE(iovad_va2iova(d, chunk->addr, 1), 0x7fffffffu);
}

TEST_F(MempoolDriverTest, AnEmptySettingIsTheDefault)
{
	configure("");
	EXPECT_TRUE(mbuf_pool("empty"));
	unsetenv("IOVAD_MEMPOOL");
	EXPECT_TRUE(mbuf_pool("unset"));
}

TEST_F(MempoolDriverTest, RefusesBadSettingsAndLeavesNothing)
{
	for (const char *bad :
	     {"colour=red", "limit", "limit=", "limit=-1", "limit= -1", "limit=+1", "limit=1k", "limit=0x", "limit=99999999999999999999",
	      "limit=0", "first=x", "first=0xfff,last=9", "last=0xffffffffffffffff", "max_ranges=0xffffffffff", "max_ranges=all",
	      "backend=none", "backend=", "backend", "stats=2", "stats=yes", "stats", "domain=", "domain",
	      "domain=a23456789012345678901234", "=", "limit=1,limit",
	      "limit=domain=own", "=limit=4", "limit=4,", "domain=[a,b]", "domain=a[b"}) {
		configure((std::string("backend=soft,") + bad).c_str());
		rte_errno = 0;
		EXPECT_FALSE(mbuf_pool("bad")) << bad;
		EXPECT_EQ(rte_errno, EINVAL) << bad;
		configure("backend=soft");
		EXPECT_FALSE(pool_with("bad", bad)) << bad;
		EXPECT_EQ(rte_errno, EINVAL) << bad;
		EXPECT_EQ(rte_mempool_lookup("bad"), nullptr) << bad;
		EXPECT_EQ(domain_named("mempool"), nullptr) << bad;
	}
	EXPECT_TRUE(mbuf_pool("bad")) << "the name cannot be used again";
}

TEST_F(MempoolDriverTest, VfioWithoutAContainerIsRefused)
{
	if (rte_eal_has_pci())
		GTEST_SKIP() << "EAL looked for devices";
	EXPECT_FALSE(pool_with("vfio", "backend=vfio"));
	EXPECT_EQ(rte_errno, ENODEV);
}

TEST_F(MempoolDriverTest, RefusesSettingsThatADomainDoesNotHave)
{
	const Pool first = pool_with("first", "last=0xffffffff");
	ASSERT_TRUE(first);
	EXPECT_FALSE(pool_with("second", "last=0x7fffffff"));
	EXPECT_EQ(rte_errno, EEXIST);
	EXPECT_TRUE(pool_with("third", "last=0xffffffff,limit=0x7fffffff,stats=1"));
	const Domain mine = soft_domain("mine");
	EXPECT_FALSE(pool_with("fourth", "domain=mine,first=4096"));
	EXPECT_EQ(rte_errno, EEXIST);
}

}  // namespace

}  // namespace iovad::test
