// SPDX-License-Identifier: BSD-3-Clause
// Bounce pools that are destroyed, or shrink, while something keeps their memory: it stays until it can
// be unmapped, and holds up nobody else.
#include <future>

#include "bounce_growth.h"
#include "dma/soft/requester.h"
#include "eal/bounce/registry.h"

namespace iovad::test {
namespace {

using namespace std::chrono_literals;

struct SlowRelease {
	static void release(void *, uint64_t, void *self)
	{
		slow_prepare(nullptr, 0, nullptr);
		++static_cast<SlowRelease *>(self)->released;
	}
	unsigned released = 0;
};

TEST_F(BounceGrowth, PoolsThatHaveDepartedTakeTurnsWithTheOthers)
{
	constexpr unsigned kChunks = 8;
	SlowRelease departed;
	const TestPool pool(bounce_conf(d, 0, 2 * kChunk));
	iovad_bounce_conf conf = bounce_conf(d, kChunks * kChunk);
	conf.name = "departs";
	conf.release = SlowRelease::release;
	conf.opaque = &departed;
	iovad_bounce_pool *const other = iovad_bounce_pool_create(&conf);
	ASSERT_NE(nullptr, other);
	{
		dma::Requester requester(device.iommu);
		const dma::Requester::Burst burst(requester);
		EXPECT_EQ(-EIO, iovad_bounce_pool_destroy(other));
	}
	poll_until([&] { return departed.released != 0; });
	const Held held(pool, kChunk, EAGAIN);
	iovad_control_poll();
	iovad_control_poll();
	EXPECT_LT(departed.released, kChunks);
	EXPECT_EQ(2 * kChunk, pool.stats().size_bytes);
	poll_until([&] { return departed.released == kChunks; });
}

// Whoever maps a part of the pool's memory keeps that chunk only.
TEST_F(BounceGrowth, AChunkThatIsMappedElsewhereKeepsNoOther)
{
	Hooks hooks;
	iovad_bounce_conf conf = hooks.conf(bounce_conf(d, 3 * kChunk, 3 * kChunk));
	conf.name = "elsewhere";
	iovad_bounce_pool *const pool = iovad_bounce_pool_create(&conf);
	ASSERT_NE(nullptr, pool);
	void *const part = pool->slots.chunk_va(0);
	rte_iova_t iova;
	ASSERT_EQ(0, iovad_map(d, part, 4096, UINT64_MAX, IOVAD_BIDIRECTIONAL, &iova));
	EXPECT_EQ(-EIO, iovad_bounce_pool_destroy(pool));
	EXPECT_EQ(std::set{part}, hooks.prepared);
	EXPECT_EQ(0, iovad_unmap(d, iova, 4096));
	poll_until([&] { return hooks.prepared.empty(); });
}

// ---- memory that cannot be unmapped: a device does not end what it does ----

TEST(BounceStuck, APoolDepartsAndItsMemoryStaysUntilItCanBeUnmapped)
{
	Hooks hooks;
	iovad_domain_conf conf = soft_domain_conf();
	const std::string name = unique_name();
	conf.name = name.c_str();
	iovad_domain *const d = iovad_domain_create(&conf);
	ASSERT_NE(nullptr, d);
	Device device(d);
	iovad_bounce_conf pool_conf = hooks.conf(bounce_conf(d, 2 * kChunk));
	pool_conf.name = "stuck";
	iovad_bounce_pool *const pool = iovad_bounce_pool_create(&pool_conf);
	ASSERT_NE(nullptr, pool);
	const uint64_t window = pool->state.config.base;
	{
		dma::Requester requester(device.iommu);
		const dma::Requester::Burst burst(requester);
		EXPECT_EQ(-EIO, iovad_bounce_pool_destroy(pool));
		EXPECT_EQ(2u, hooks.prepared.size()) << "not released: the device may still be there";
		iovad_range range;
		ASSERT_EQ(0, iovad_find(d, window, &range));
		EXPECT_EQ(-EBUSY, iovad_domain_destroy(d)) << "the window is not free";
	}
	{
		const TestPool same_name([&] {
			iovad_bounce_conf again = bounce_conf(d);
			return again;
		}());
		pool_conf.opaque = &hooks;
		iovad_bounce_pool *const again = iovad_bounce_pool_create(&pool_conf);
		EXPECT_NE(nullptr, again) << "the name is free";
		EXPECT_EQ(0, iovad_bounce_pool_destroy(again));
	}
	poll_until([&] { return hooks.prepared.empty(); });
	EXPECT_EQ(0, iovad_domain_destroy(d));
}

// Each try takes long: there is one, not one for each chunk.
TEST(BounceStuck, TheEndOfALargePoolWaitsOnce)
{
	const TestDomain d(soft_domain_conf());
	Device device(d);
	iovad_bounce_conf conf = bounce_conf(d, 6 * kChunk);
	conf.name = "stuck";
	iovad_bounce_pool *const pool = iovad_bounce_pool_create(&conf);
	ASSERT_NE(nullptr, pool);
	const iovad_domain *const domain = d;
	const auto errors = [&] { return domain->mappings->counters.errors.load(); };
	{
		dma::Requester requester(device.iommu);
		const dma::Requester::Burst burst(requester);
		const uint64_t before = errors();
		EXPECT_EQ(-EIO, iovad_bounce_pool_destroy(pool));
		EXPECT_EQ(before + 1, errors());
	}
	poll_until([&] { return device.iommu.stats().mappings == 0; });
}

TEST(BounceStuck, TheDomainsEndTriesAgain)
{
	iovad_domain_conf conf = soft_domain_conf();
	const std::string name = unique_name();
	conf.name = name.c_str();
	iovad_domain *const d = iovad_domain_create(&conf);
	ASSERT_NE(nullptr, d);
	Device device(d);
	iovad_bounce_conf pool_conf = bounce_conf(d, 3 * kChunk);
	pool_conf.name = "stuck";
	iovad_bounce_pool *const pool = iovad_bounce_pool_create(&pool_conf);
	ASSERT_NE(nullptr, pool);
	{
		dma::Requester requester(device.iommu);
		const dma::Requester::Burst burst(requester);
		EXPECT_EQ(-EIO, iovad_bounce_pool_destroy(pool));
	}
	EXPECT_EQ(0, iovad_domain_destroy(d));
}

// Hooks are called without the lock that passes want.
void expect_passes(void *, uint64_t, void *future)
{
	auto &pass = *static_cast<std::future<uint64_t> *>(future);
	pass = std::async(std::launch::async, eal::bounce_interval_us);
	EXPECT_EQ(std::future_status::ready, pass.wait_for(10s));
}

TEST(BounceStuck, PassesDoNotWaitForADomainsEnd)
{
	std::future<uint64_t> pass;
	iovad_domain_conf conf = soft_domain_conf();
	const std::string name = unique_name();
	conf.name = name.c_str();
	iovad_domain *const d = iovad_domain_create(&conf);
	ASSERT_NE(nullptr, d);
	Device device(d);
	iovad_bounce_conf pool_conf = bounce_conf(d);
	pool_conf.name = "stuck";
	pool_conf.release = expect_passes;
	pool_conf.opaque = &pass;
	iovad_bounce_pool *const pool = iovad_bounce_pool_create(&pool_conf);
	ASSERT_NE(nullptr, pool);
	{
		dma::Requester requester(device.iommu);
		const dma::Requester::Burst burst(requester);
		EXPECT_EQ(-EIO, iovad_bounce_pool_destroy(pool));
	}
	EXPECT_FALSE(pass.valid());
	EXPECT_EQ(0, iovad_domain_destroy(d));
	EXPECT_TRUE(pass.valid());
}

TEST_F(BounceGrowth, AChunkThatCannotBeUnmappedComesAgainLater)
{
	const TestPool pool(bounce_conf(d, 0, 2 * kChunk));
	{
		const Held all(pool, kChunk, EAGAIN);
		iovad_control_poll();
	}
	ASSERT_EQ(2 * kChunk, pool.stats().size_bytes);
	{
		dma::Requester requester(device.iommu);
		const dma::Requester::Burst burst(requester);
		poll_until([&] { return pool.stats().size_bytes == kChunk; });
		const Held held(pool, kChunk, EAGAIN);
		iovad_control_poll();
		EXPECT_EQ(kChunk, pool.stats().size_bytes) << "there is no other place";
	}
	poll_until([&] {
		const Held two(pool, kChunk, pool.stats().size_bytes == kChunk ? EAGAIN : ENOSPC);
		return two.count() == 2;
	});
}

}  // namespace
}  // namespace iovad::test
