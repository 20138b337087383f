// SPDX-License-Identifier: BSD-3-Clause
// The domains of pools: who shares one, what is mapped in it, and when it goes.
#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

#include "driver_fixture.h"
#include "iovad/iovad_dma.h"

namespace iovad::test {

namespace {

TEST_F(MempoolDriverTest, UnmapsAndForgetsTheDomainWithTheLastPool)
{
	Pool a = mbuf_pool("a"), b = mbuf_pool("b");
	ASSERT_TRUE(a && b);
	iovad_domain *d = domain_named("mempool");
	ASSERT_NE(d, nullptr);
	iovad_domain_stats stats;
	iovad_domain_stats_get(d, &stats);
	const uint64_t both = stats.live_bytes;
	a.reset();
	iovad_domain_stats_get(d, &stats);
	EXPECT_LT(stats.live_bytes, both);
	EXPECT_GT(stats.live_bytes, 0u);
	b.reset();
	EXPECT_EQ(domain_named("mempool"), nullptr);
}

TEST_F(MempoolDriverTest, ManyPoolsShareADomain)
{
	std::vector<Pool> pools;
	for (unsigned i = 0; i < 64; ++i) {
		pools.push_back(Pool(rte_mempool_create_empty(("many" + std::to_string(i)).c_str(), 64, 100, 0, 0,
							      SOCKET_ID_ANY, 0)));
		ASSERT_TRUE(pools.back());
		ASSERT_EQ(rte_mempool_set_ops_byname(pools.back().get(), "iovad", nullptr), 0);
		ASSERT_EQ(rte_mempool_populate_default(pools.back().get()), 64);
	}
	// Not in the order of their creation.
	for (unsigned i = 0; i < 64; i += 2)
		pools[i].reset();
	iovad_domain *d = domain_named("mempool");
	ASSERT_NE(d, nullptr);
	EXPECT_EQ(iovad_verify(d, stderr), 0);
	pools.clear();
}

TEST_F(MempoolDriverTest, DomainsHaveAddressesOfTheirOwn)
{
	Pool a = pool_with("a", "domain=one,last=0xffffffff"), b = pool_with("b", "domain=two,last=0xffffffff");
	ASSERT_TRUE(a && b);
	iovad_domain *one = domain_named("one"), *two = domain_named("two");
	ASSERT_TRUE(one && two && one != two);
	void *chunk = STAILQ_FIRST(&a->mem_list)->addr;
	EXPECT_NE(iovad_va2iova(one, chunk, 1), RTE_BAD_IOVA);
	EXPECT_EQ(iovad_va2iova(two, chunk, 1), RTE_BAD_IOVA);
	a.reset();
	EXPECT_EQ(domain_named("one"), nullptr);
	EXPECT_EQ(domain_named("two"), two);
}

TEST_F(MempoolDriverTest, UsesTheApplicationsDomainAndLeavesItThere)
{
	configure("");
	Domain mine = soft_domain("mine");
	ASSERT_TRUE(mine);
	Pool pool = pool_with("guest", "domain=mine");
	ASSERT_TRUE(pool) << rte_strerror(rte_errno);
	EXPECT_NE(iovad_va2iova(mine.get(), STAILQ_FIRST(&pool->mem_list)->addr, 1), RTE_BAD_IOVA);
	EXPECT_EQ(iovad_domain_destroy(mine.get()), -EBUSY);
	pool.reset();
	EXPECT_EQ(domain_named("mine"), mine.get());
	iovad_domain_stats stats;
	iovad_domain_stats_get(mine.get(), &stats);
	EXPECT_EQ(stats.live_bytes, 0u);
	EXPECT_EQ(iovad_domain_destroy(mine.release()), 0);
}

TEST_F(MempoolDriverTest, APoolThatDoesNotFitLeavesNothing)
{
	EXPECT_FALSE(pool_with("large", "first=0x10000,last=0x1ffff"));
	EXPECT_EQ(rte_errno, ENOSPC) << "longer than the window";
	{
		std::vector<Pool> pools;  // how many fit depends on the size of a page
		do {
			pools.push_back(pool_with(("fits" + std::to_string(pools.size())).c_str(), "last=0xffffff"));
		} while (pools.back() && pools.size() < 10);
		EXPECT_EQ(rte_errno, ENOSPC);
		EXPECT_GT(pools.size(), 1u);
		EXPECT_EQ(rte_mempool_lookup(("fits" + std::to_string(pools.size() - 1)).c_str()), nullptr);
		EXPECT_EQ(iovad_verify(domain_named("mempool"), stderr), 0);
	}
	EXPECT_EQ(domain_named("mempool"), nullptr);
	EXPECT_EQ(rte_mempool_lookup("large"), nullptr);
	EXPECT_TRUE(pool_with("large", ""));
}

struct Memory {
	static constexpr size_t kBytes = 64 * 1024;
	char *at = static_cast<char *>(std::aligned_alloc(4096, kBytes));
	~Memory() { std::free(at); }
};

TEST_F(MempoolDriverTest, FailingMidwayLeavesNothing)
{
	Memory a, b;
	Pool pool(rte_mempool_create_empty("midway", kMbufs, 2048, 0, 0, SOCKET_ID_ANY, 0));
	ASSERT_TRUE(pool);
	std::string settings = "first=0x100000,last=0x117fff";  // 96 KiB: the second piece does not fit
	ASSERT_EQ(rte_mempool_set_ops_byname(pool.get(), "iovad", settings.data()), 0);
	ASSERT_GT(rte_mempool_populate_iova(pool.get(), a.at, a.kBytes, a.kBytes, nullptr, nullptr), 0);
	iovad_domain *d = domain_named("mempool");
	ASSERT_NE(d, nullptr);
	EXPECT_EQ(rte_mempool_populate_iova(pool.get(), b.at, b.kBytes, b.kBytes, nullptr, nullptr), -ENOSPC);
	EXPECT_NE(iovad_va2iova(d, a.at, a.kBytes), RTE_BAD_IOVA);
	EXPECT_EQ(iovad_va2iova(d, b.at, b.kBytes), RTE_BAD_IOVA);
	pool.reset();
	EXPECT_EQ(domain_named("mempool"), nullptr);
}

TEST_F(MempoolDriverTest, APieceTooSmallForAnObjectIsNotKept)
{
	Memory memory;
	Pool pool(rte_mempool_create_empty("small", 16, 8192, 0, 0, SOCKET_ID_ANY, 0));
	ASSERT_TRUE(pool);
	ASSERT_EQ(rte_mempool_set_ops_byname(pool.get(), "iovad", nullptr), 0);
	EXPECT_EQ(rte_mempool_populate_iova(pool.get(), memory.at, 0, 4096, nullptr, nullptr), 0);
	EXPECT_EQ(iovad_va2iova(domain_named("mempool"), memory.at, 1), RTE_BAD_IOVA);
	// Its address may be used again, by a piece that is large enough.
	EXPECT_GT(rte_mempool_populate_iova(pool.get(), memory.at, 0, memory.kBytes, nullptr, nullptr), 0);
}

}  // namespace

}  // namespace iovad::test
