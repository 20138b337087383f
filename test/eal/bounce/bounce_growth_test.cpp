// SPDX-License-Identifier: BSD-3-Clause
// Bounce pools that grow and shrink in passes of the control lcore, transient memory, and hooks.
#include <thread>

#include "../crew.h"
#include "bounce_growth.h"
#include "eal/control/control.h"

namespace iovad::test {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t k64KiB = 65536, kPerChunk = kChunk / k64KiB;

TEST_F(BounceGrowth, BeforeItRunsOut)
{
	const TestPool pool(bounce_conf(d, 2 * kChunk, 16 * kChunk));
	Held held(pool, k64KiB, 0, 2 * kPerChunk * 3 / 4);
	iovad_control_poll();
	EXPECT_EQ(2 * kChunk, pool.stats().size_bytes) << "a quarter is free";
	{
		const Held one(pool, k64KiB, 0, 1);
		EXPECT_GT(iovad_control_poll(), 0);
		EXPECT_EQ(3 * kChunk, pool.stats().size_bytes);
		iovad_control_poll();
		EXPECT_EQ(3 * kChunk, pool.stats().size_bytes) << "that is enough";
	}
	EXPECT_EQ(1u, pool.stats().grows);
	EXPECT_EQ(0u, pool.stats().misses);
}

TEST_F(BounceGrowth, AfterAMissUntilNoMoreMayCome)
{
	const TestPool pool(bounce_conf(d, 0, 16 * kChunk));
	std::vector<char> data(16 * kChunk);
	rte_iova_t iova;
	for (unsigned chunks = 1; chunks < 16;) {
		Held held(pool, kChunk, EAGAIN);
		EXPECT_EQ(chunks, held.count());
		iovad_control_poll();
		const uint64_t size = pool.stats().size_bytes / kChunk;
		ASSERT_GT(size, chunks);
		EXPECT_LE(size, std::max(chunks + 1, chunks + chunks / 4));
		chunks = static_cast<unsigned>(size);
	}
	const Held all(pool, kChunk, ENOSPC);
	EXPECT_EQ(16u, all.count());
	iovad_control_poll();
	EXPECT_EQ(16 * kChunk, pool.stats().size_bytes);
	EXPECT_EQ(-ENOSPC, iovad_bounce_map(pool, data.data(), 1, 0, IOVAD_TO_DEVICE, &iova));
}

TEST_F(BounceGrowth, AsFarAsALongMappingNeeds)
{
	const TestPool pool(bounce_conf(d, 0, 24 * kChunk));
	std::vector<char> data = pattern(22 * kChunk, 1);
	rte_iova_t iova = 0;
	poll_until([&] { return iovad_bounce_map(pool, data.data(), data.size(), 0, IOVAD_TO_DEVICE, &iova) == 0; });
	EXPECT_TRUE(data == device.read(iova, data.size()));
	pool.unmap(iova, data.size(), IOVAD_TO_DEVICE);
}

TEST_F(BounceGrowth, AMissWakesTheControlThread)
{
	const TestPool pool(bounce_conf(d, 0, 16 * kChunk));
	ASSERT_EQ(0, iovad_control_thread_start());
	std::vector<char> data(kChunk);
	std::vector<rte_iova_t> iovas(16);
	for (rte_iova_t &iova : iovas) {
		while (iovad_bounce_map(pool, data.data(), kChunk, 0, IOVAD_TO_DEVICE, &iova) == -EAGAIN)
			std::this_thread::yield();
	}
	for (const rte_iova_t iova : iovas)
		pool.unmap(iova, kChunk, IOVAD_TO_DEVICE);
	EXPECT_EQ(0, iovad_control_thread_stop());
	EXPECT_GT(eal::control_report().bounce_ns, 0u);
}

TEST_F(BounceGrowth, ShrinksAfterAQuietSecond)
{
	const TestPool pool(bounce_conf(d, 2 * kChunk, 16 * kChunk));
	poll_until([&] {
		const Held all(pool, kChunk, pool.stats().size_bytes < 16 * kChunk ? EAGAIN : ENOSPC);
		iovad_control_poll();
		return all.count() == 16;
	});
	const Held some(pool, kChunk, 0, 3);
	const uint64_t shrinks = pool.stats().shrinks;
	poll_for(500ms);
	EXPECT_EQ(16 * kChunk, pool.stats().size_bytes) << "not yet";
	poll_until([&] { return pool.stats().size_bytes <= 6 * kChunk; });
	poll_for(300ms);
	EXPECT_EQ(6 * kChunk, pool.stats().size_bytes) << "twice what is out";
	EXPECT_GT(pool.stats().shrinks, shrinks);
	EXPECT_EQ(6u, device.iommu.stats().mappings);
	EXPECT_TRUE(device.faults(pool.first())) << "from the bottom up";
	EXPECT_FALSE(device.faults(pool.last()));
}

TEST_F(BounceGrowth, NeverBelowWhatItBeganWith)
{
	const TestPool pool(bounce_conf(d, 4 * kChunk, 8 * kChunk));
	{
		const Held all(pool, kChunk, EAGAIN);
		iovad_control_poll();
		EXPECT_EQ(5 * kChunk, pool.stats().size_bytes);
	}
	poll_until([&] { return pool.stats().size_bytes == 4 * kChunk; });
	poll_for(300ms);
	EXPECT_EQ(4 * kChunk, pool.stats().size_bytes);
}

// Slots that are in the caches of lcores keep nothing.
TEST_F(BounceGrowth, WhatIsOnlyCachedIsGivenBack)
{
	const TestPool pool(bounce_conf(d, 0, 8 * kChunk));
	for (const unsigned lcore : {0u, 1u, 2u}) {
		const AsLcore as(lcore);
		poll_until([&] {
			Held all(pool, 2048, 0, static_cast<unsigned>(pool.stats().size_bytes / 2048));
			iovad_control_poll();
			return pool.stats().size_bytes >= 6 * kChunk;
		});
	}
	poll_until([&] { return pool.stats().size_bytes <= 2 * kChunk; });
}

// ---- transient ----

class BounceTransient : public BounceGrowth {
protected:
	TestPool pool{bounce_conf(d, 2 * kChunk, 4 * kChunk, IOVAD_BOUNCE_F_TRANSIENT)};
};

TEST_F(BounceTransient, AMissIsServedAndTheMemoryGoesWhenItIsQuiet)
{
	iovad_control_poll();
	EXPECT_EQ(2 * kChunk, pool.stats().size_bytes) << "what stands by is not counted";
	EXPECT_EQ(3u, device.iommu.stats().mappings);
	{
		const Held held(pool, kChunk, EAGAIN);
		EXPECT_EQ(3u, held.count());
		EXPECT_EQ(3 * kChunk, pool.stats().size_bytes);
		EXPECT_EQ(kChunk, pool.stats().transient_bytes);
		EXPECT_EQ(2u, pool.stats().misses);
		poll_for(200ms);
		EXPECT_EQ(kChunk, pool.stats().transient_bytes) << "it is used";
	}
	poll_until([&] { return pool.stats().transient_bytes == 0; });
	EXPECT_EQ(0u, pool.stats().used_bytes);
}

// The window is full: what was to be ready for a miss becomes a part of the pool.
TEST_F(BounceTransient, WithinTheMostThatMayBe)
{
	std::vector<char> data(kChunk);
	std::vector<rte_iova_t> iovas;
	rte_iova_t iova;
	poll_until([&] {
		const int error = iovad_bounce_map(pool, data.data(), kChunk, 0, IOVAD_TO_DEVICE, &iova);
		EXPECT_TRUE(error == 0 || error == -EAGAIN) << error;
		if (error == 0)
			iovas.push_back(iova);
		return iovas.size() == 4;
	});
	EXPECT_EQ(-ENOSPC, iovad_bounce_map(pool, data.data(), 1, 0, IOVAD_TO_DEVICE, &iova));
	poll_for(200ms);
	EXPECT_EQ(4 * kChunk, pool.stats().size_bytes);
	EXPECT_EQ(4u, device.iommu.stats().mappings);
	for (const rte_iova_t each : iovas)
		pool.unmap(each, kChunk, IOVAD_TO_DEVICE);
}

TEST_F(BounceTransient, DestroyedWithOneOnStandby)
{
	const TestPool other(bounce_conf(d, 0, 0, IOVAD_BOUNCE_F_TRANSIENT));
	poll_until([&] { return device.iommu.stats().mappings == 5; });
}

TEST_F(BounceTransient, AFailedDestroyChangesNothing)
{
	iovad_control_poll();
	Held held(pool, kChunk, 0, 1);
	EXPECT_EQ(-EBUSY, iovad_bounce_pool_destroy(pool));
	EXPECT_EQ(2 * kChunk, pool.stats().size_bytes);
	const Held more(pool, kChunk, 0, 2);
	EXPECT_EQ(kChunk, pool.stats().transient_bytes) << "it still stands by";
}

TEST_F(BounceTransient, ARefusedEndLeavesWhatIsTransient)
{
	iovad_control_poll();
	Held held(pool, kChunk, 0, 3);
	held.release(2);
	EXPECT_FALSE(static_cast<iovad_bounce_pool *>(pool)->chunks.remove_all());
	EXPECT_EQ(3 * kChunk, pool.stats().size_bytes);
	EXPECT_EQ(kChunk, pool.stats().transient_bytes);
	EXPECT_EQ(0, iovad_bounce_verify(pool, stderr));
	poll_until([&] { return pool.stats().transient_bytes == 0; });
}

// ---- hooks ----

TEST_F(BounceGrowth, HooksSeeAllMemory)
{
	Hooks hooks;
	{
		const TestPool pool(hooks.conf(bounce_conf(d, 3 * kChunk, 8 * kChunk, IOVAD_BOUNCE_F_TRANSIENT)));
		EXPECT_EQ(3u, hooks.prepared.size());
		iovad_control_poll();
		EXPECT_EQ(4u, hooks.prepared.size()) << "what stands by";
		{
			const Held all(pool, kChunk, 0, 3);
			iovad_control_poll();
			EXPECT_EQ(5u, hooks.prepared.size());
		}
		poll_until([&] { return hooks.prepared.size() == 4; });
	}
	EXPECT_EQ(0u, hooks.prepared.size());
}

TEST_F(BounceGrowth, HooksMayRefuse)
{
	Hooks hooks;
	hooks.refuse_after = 1;
	{
		const TestPool pool(hooks.conf(bounce_conf(d, 0, 4 * kChunk)));
		Held all(pool, kChunk, EAGAIN);
		Log log;
		iovad_control_poll();
		EXPECT_NE(std::string::npos, log.text().find("cannot grow by 2 MiB (No such device or address): prepare() refuses it"))
			<< log.text();
		EXPECT_EQ(1u, hooks.refused);
		iovad_control_poll();
		EXPECT_EQ(1u, hooks.refused) << "not at once again";
		EXPECT_EQ(kChunk, pool.stats().size_bytes);
		eal::BounceSlice slice(0);
		static_cast<iovad_bounce_pool *>(pool)->upkeep.pass(core::now_ns(), slice);
		EXPECT_TRUE(slice.take()) << "others have it";
		hooks.refuse_after = ~0u;
		poll_until([&] { return pool.stats().size_bytes > kChunk; });
	}
	EXPECT_EQ(0u, hooks.prepared.size());
}

// Each pass brings one chunk, so that it can do what else there is to do; pools take turns.
TEST_F(BounceGrowth, SlowHooksDoNotHoldUpPasses)
{
	iovad_bounce_conf conf = bounce_conf(d, 0, 16 * kChunk);
	conf.prepare = slow_prepare;
	const TestPool a(conf), b(conf);
	std::vector<char> data(8 * kChunk);
	for (const TestPool *pool : {&a, &b}) {
		rte_iova_t iova;
		ASSERT_EQ(-EAGAIN, iovad_bounce_map(*pool, data.data(), data.size(), 0, IOVAD_TO_DEVICE, &iova));
	}
	for (unsigned passes = 1; passes <= 10; ++passes) {
		iovad_control_poll();
		EXPECT_EQ((2 + passes) * kChunk, a.stats().size_bytes + b.stats().size_bytes);
		EXPECT_EQ((1 + passes / 2) * kChunk, std::min(a.stats().size_bytes, b.stats().size_bytes));
	}
}

// ---- under load ----

TEST_F(BounceGrowth, UnderLoad)
{
	ASSERT_EQ(0, iovad_control_thread_start());
	{
		const TestPool pool(bounce_conf(d, 0, 16 * kChunk, IOVAD_BOUNCE_F_TRANSIENT));
		Crew::run([&](unsigned actor) {
			std::vector<char> data = pattern(300'000, actor);
			struct Mapped {
				rte_iova_t iova;
				uint64_t at, len;
			};
			std::vector<Mapped> mapped;
			const auto unmap_one = [&](size_t i) {
				const Mapped m = mapped[i];
				const std::vector<char> there = device.read(m.iova, m.len);
				ASSERT_EQ(0, std::memcmp(there.data(), &data[m.at], m.len));
				pool.unmap(m.iova, m.len, IOVAD_TO_DEVICE);
				mapped[i] = mapped.back();
				mapped.pop_back();
			};
			for (unsigned i = 0; i < 4000; ++i) {
				const unsigned dice = (i + 1) * 2654435761u + actor * 40503u;
				// Waves: many, then few.
				const size_t most = i / 500 % 2 == 0 ? 100 : 3;
				while (mapped.size() > most)
					unmap_one(dice % mapped.size());
				Mapped m = {0, dice % 1000, dice >> 20 == 0 ? 280'000 : (dice >> 8) % 30'000 + 1};
				const int error = iovad_bounce_map(pool, &data[m.at], m.len, 0, IOVAD_TO_DEVICE, &m.iova);
				ASSERT_TRUE(error == 0 || error == -EAGAIN || error == -ENOSPC) << error;
				if (error == 0)
					mapped.push_back(m);
			}
			while (!mapped.empty())
				unmap_one(0);
		});
		EXPECT_EQ(0u, pool.stats().used_bytes);
		EXPECT_GT(pool.stats().grows, 0u);
	}
	EXPECT_EQ(0, iovad_control_thread_stop());
}

}  // namespace
}  // namespace iovad::test
