// SPDX-License-Identifier: BSD-3-Clause
// Where lazy unmapping ends: full queues, a spent budget, nobody who serves, long ranges; and
// where something has run out because so much is deferred.
#include "lazy_fixture.h"

namespace iovad::dma {
namespace {

// ---- served ----

TEST(LazyServed, WithoutItAnUnmapIsDoneAtOnce)
{
	LazyRig rig;
	rig.mapper.serve(0);
	for (int i = 0; i < 3; ++i) {
		const uint64_t iova = rig.mapped(kMemory, k4K);
		EXPECT_EQ(Status::ok, rig.unmap_lazy(iova));
		EXPECT_TRUE(rig.faults(iova));
		EXPECT_EQ(0u, rig.deferred());
	}
	EXPECT_EQ(3u, rig.queues.counters.helps);
	EXPECT_EQ(Status::not_found, rig.unmap_lazy(k4K)) << "and says what is wrong";
	rig.expect_nothing_left();
}

TEST(LazyServed, OneThatEndedIsReportedOnceEachTime)
{
	LazyRig rig;
	rig.mapper.serve(0);
	for (unsigned times = 1; times <= 3; ++times) {
		for (int i = 0; i < 3; ++i)
			EXPECT_EQ(Status::ok, rig.unmap_lazy(rig.mapped(kMemory, k4K)));
		EXPECT_EQ(times, rig.told(Trouble::not_served).size());
		rig.mapper.serve(kForEver);
		rig.defer(rig.mapped(kMemory, k4K));
		rig.mapper.serve(times % 2 ? 0 : 1);  // by word, and by time
		if (times % 2 == 0)
			rig.queues.for_each([](core::RetireQueue &q) { q.close(); });
	}
	rig.expect_nothing_left();
}

TEST(LazyServed, AnOwnerThatFindsOutUnmapsAllThatItHadDeferred)
{
	LazyRig rig(lazily({.records = 2000}));
	const std::vector<uint64_t> all = rig.mapped_pages(1001), other = rig.mapped_pages(5, kMemory + k1G);
	for (unsigned i = 0; i < 1000; ++i)
		rig.defer(all[i]);
	for (const uint64_t iova : other)
		rig.defer(iova, k4K, 1);
	rig.mapper.serve(0);
	EXPECT_EQ(1005u, rig.deferred());
	EXPECT_EQ(Status::ok, rig.unmap_lazy(all[1000]));
	EXPECT_EQ(5u, rig.deferred()) << "another's stay";
	EXPECT_EQ(1u, rig.queues.counters.helps);
	for (const uint64_t iova : all)
		EXPECT_TRUE(rig.faults(iova));
	rig.mapper.serve(kForEver);
	rig.defer(rig.mapped(kMemory, k4K));
	rig.expect_nothing_left();
}

// serve(0) came between the look at the time and the longer limit, which stayed.
TEST(LazyServed, AfterItsEndNobodyDefers)
{
	LazyRig rig(small(200, {.most_deferred = 64}));
	std::atomic<unsigned> round = 0, seen = 0;
	constexpr unsigned kRounds = 100;
	uint64_t deferred = 0;
	std::thread owner([&] {
		for (unsigned i = 0, r; (r = round) < kRounds; ++i) {
			uint64_t iova = 0;
			const bool ended = r % 2 == 1;
			EXPECT_TRUE(rig.mapper.map(0, at(kMemory + i % 64 * 2 * k4K), k4K, kNoLimit, 3, iova).ok());
			const bool lazily = iovad_hot_retire(&rig.domain.hot(), 0, iova, k4K);
			deferred += ended && lazily && round == r;
			if (!lazily) {
				EXPECT_TRUE(rig.mapper.unmap_lazy(0, iova, k4K).ok());
			}
			seen = r;
		}
	});
	// In odd rounds nobody serves, from their beginning to their end.
	for (unsigned r = 1; r <= kRounds; ++r) {
		if (r % 2 == 1)
			rig.mapper.serve(0);
		round = r;
		if (r % 2 == 0)
			rig.mapper.serve(kForEver);
		while (r < kRounds && seen != r)
			std::this_thread::yield();
	}
	owner.join();
	EXPECT_EQ(0u, deferred);
	rig.expect_nothing_left();
}

// ---- the budget, the ring ----

TEST(LazyBudget, IsNeverExceeded)
{
	constexpr uint64_t kMost = 100;
	LazyRig rig(lazily({.records = 1000, .most_deferred = kMost}));
	std::atomic<bool> stop = false;
	std::atomic<uint64_t> above = 0, samples = 0;
	std::thread gauge([&] {
		for (; !stop; ++samples, std::this_thread::yield())
			above += rig.queues.deferred().granules > kMost;
	});
	std::vector<std::thread> threads;
	for (const unsigned me : {0u, 1u, core::kNoLcore}) {
		threads.emplace_back([&, me] {
			for (unsigned i = 0; i < 3000; ++i) {
				uint64_t iova = 0;
				const uint64_t len = (1 + i % 3) * k4K;
				EXPECT_TRUE(rig.mapper.map(me, at(kMemory + (me + 1) * k1G + i % 64 * k2M), len, kNoLimit, 3, iova).ok());
				EXPECT_EQ(Status::ok, rig.unmap_lazy(iova, len, me));
			}
		});
	}
	for (std::thread &t : threads)
		t.join();
	while (samples < 10)
		std::this_thread::yield();
	stop = true;
	gauge.join();
	EXPECT_EQ(0u, above);
	EXPECT_LE(rig.queues.counters.peak_granules, kMost);
	EXPECT_GT(rig.queues.counters.helps, 0u);
	EXPECT_EQ(9000u - rig.deferred(), rig.table.counters.unmapped);
	rig.expect_nothing_left();
}

TEST(LazyBudget, AFullRingMakesItsOwnerHelpWithABatch)
{
	constexpr unsigned kEntries = core::RetireQueue::kEntries;
	constexpr unsigned kHelp = 1024;
	LazyRig rig(lazily({.records = kEntries + 1, .most_deferred = 4 * kEntries}));
	const std::vector<uint64_t> all = rig.mapped_pages(kEntries + 1);
	for (unsigned i = 0; i < kEntries; ++i)
		EXPECT_EQ(Status::ok, rig.unmap_lazy(all[i]));
	EXPECT_EQ(kEntries, rig.deferred());
	EXPECT_EQ(0u, rig.unmap_calls());
	EXPECT_EQ(Status::ok, rig.unmap_lazy(all[kEntries]));
	EXPECT_EQ(1u, rig.queues.counters.helps);
	EXPECT_TRUE(rig.faults(all[0])) << "the oldest";
	EXPECT_TRUE(rig.faults(all[kHelp - 1]));
	EXPECT_FALSE(rig.faults(all[kHelp]));
	EXPECT_EQ(kEntries - kHelp + 1, rig.deferred());
	EXPECT_EQ(kEntries - kHelp + 1, rig.pass());
	rig.expect_nothing_left();
}

// The budget is spent by what a pass has in hand, for as long as that is held.
TEST(LazyBudget, AnOwnerDoesNotWaitForWhatAnotherHolds)
{
	LazyRig rig(lazily({.most_deferred = 10}));
	const std::vector<uint64_t> all = rig.mapped_pages(10);
	const uint64_t mine = rig.mapped(kMemory + k1G, k4K);
	for (const uint64_t iova : all)
		rig.defer(iova, k4K, 1);
	rig.faulty.hold(Call::unmap, 1);
	std::thread passer([&] { EXPECT_EQ(10u, rig.pass()); });
	ASSERT_TRUE(rig.faulty.wait_held());
	EXPECT_EQ(Status::ok, rig.unmap_lazy(mine));
	EXPECT_TRUE(rig.faults(mine)) << "at once";
	EXPECT_EQ(10u, rig.deferred());
	rig.faulty.release();
	passer.join();
	EXPECT_TRUE(rig.told(Trouble::not_served).empty());
	rig.expect_nothing_left();
}

// Its owner emptied the queue for it, and could then put more than the ring holds.
TEST(LazyBudget, WhatIsTooLongForAnEntryIsUnmappedAtOnceByItself)
{
	LazyRig rig(lazily({.records = 8192}));
	rig.defer(rig.mapped(kMemory, k4K));
	for (const uint64_t pages : {uint64_t{4095}, uint64_t{4096}, uint64_t{5000}, 3 * k1G / k4K}) {
		const uint64_t iova = rig.mapped(kMemory + 600 * k1G, pages * k4K);
		EXPECT_EQ(Status::ok, rig.unmap_lazy(iova, pages * k4K));
		EXPECT_EQ(pages > 4095, rig.faults(iova)) << pages;
	}
	EXPECT_EQ(2u, rig.deferred()) << "it helped nobody";
	EXPECT_EQ(0u, rig.queues.counters.helps);
	EXPECT_EQ(2u, rig.pass());
	const std::vector<uint64_t> all = rig.mapped_pages(4000);
	for (const uint64_t iova : all)
		EXPECT_EQ(Status::ok, rig.unmap_lazy(iova));
	EXPECT_TRUE(rig.mapper.drain(0).ok());
	EXPECT_EQ(0u, rig.queues.counters.bad_unmaps);
	rig.expect_nothing_left();
}

// ---- something has run out ----

void map_succeeds_though_all_is_deferred(LazyRig &rig, unsigned fit)
{
	for (const uint64_t each : rig.mapped_pages(fit))
		rig.defer(each);
	EXPECT_EQ(0u, rig.unmap_calls());
	const uint64_t iova = rig.mapped(kMemory + k1G, k4K);
	EXPECT_EQ(0u, rig.deferred());
	EXPECT_EQ(Status::ok, rig.unmap(iova, k4K));
	for (const uint64_t each : rig.mapped_pages(fit))
		rig.defer(each);
	uint64_t region = 0;
	EXPECT_EQ(Status::ok, rig.add_region(kMemory + k1G, k4K, region));
	EXPECT_EQ(Status::ok, rig.remove_region(kMemory + k1G, k4K));
	const std::vector<uint64_t> live = rig.mapped_pages(fit);
	uint64_t none;
	EXPECT_NE(Status::ok, rig.map(kMemory + k1G, k4K, none)) << "these are in use";
	for (const uint64_t each : live)
		rig.defer(each);
	rig.expect_nothing_left();
}

TEST(LazyExhaustion, OfAddresses)
{
	for (const bool cached : {false, true}) {
		LazyRig rig(small(40, {.cached = cached}));
		map_succeeds_though_all_is_deferred(rig, 40);
	}
}

TEST(LazyExhaustion, OfRecords)
{
	LazyRig rig(lazily({.records = 10}));
	map_succeeds_though_all_is_deferred(rig, 10);
}

TEST(LazyExhaustion, OfMappingsOfTheBackend)
{
	RigConfig config = lazily();
	config.soft.max_mappings = 10;
	LazyRig rig(config);
	map_succeeds_though_all_is_deferred(rig, 10);
}

TEST(LazyExhaustion, OfLockedMemory)
{
	RigConfig config = lazily();
	config.soft.locked_limit = 10 * k4K;
	LazyRig rig(config);
	map_succeeds_though_all_is_deferred(rig, 10);
}

// What it found missing came back meanwhile, and there was nothing left for it to do.
TEST(LazyExhaustion, AnotherMakesRoomWhileAMapFails)
{
	RigConfig config = lazily();
	config.soft.max_mappings = 10;
	LazyRig rig(config);
	for (const uint64_t iova : rig.mapped_pages(10))
		rig.defer(iova);
	rig.faulty.hold(Call::map, 1, When::after);
	uint64_t iova = 0;
	std::thread mapper([&] { EXPECT_EQ(Status::ok, rig.map(kMemory + k1G, k4K, iova)); });
	ASSERT_TRUE(rig.faulty.wait_held());
	EXPECT_EQ(10u, rig.pass());
	rig.faulty.release();
	mapper.join();
	EXPECT_EQ(Status::ok, rig.unmap(iova, k4K));
	rig.expect_nothing_left();
}

// As many as fit are in use at most, over and over: nobody is refused.
TEST(LazyExhaustion, NobodyIsRefusedWhereThereIsEnoughForAll)
{
	constexpr unsigned kThreads = 3, kEach = 8;
	for (const bool cached : {false, true}) {
		LazyRig rig(small(kThreads * kEach, {.cached = cached}));
		std::atomic<unsigned> refused = 0;
		std::vector<std::thread> threads;
		for (unsigned me = 0; me < kThreads; ++me) {
			threads.emplace_back([&, me] {
				uint64_t held[kEach];
				for (unsigned i = 0; i < 400; ++i) {
					unsigned n = 0;
					for (; n < kEach; ++n) {
						if (!rig.mapper.map(me, at(kMemory + me * k1G + n * k2M), k4K, kNoLimit, 3, held[n]).ok())
							break;
					}
					refused += n != kEach;
					while (n > 0)
						EXPECT_EQ(Status::ok, rig.unmap_lazy(held[--n], k4K, me));
				}
			});
		}
		for (std::thread &t : threads)
			t.join();
		EXPECT_EQ(0u, refused) << cached;
		rig.expect_nothing_left();
	}
}

// A device joins that cannot address where something is deferred.
TEST(LazyExhaustion, WhatIsDeferredIsNotInTheWayOfARefresh)
{
	LazyRig rig(small(64, {.cached = false}));
	const uint64_t low = rig.mapped(kMemory, k4K, 3, 20 * k4K - 1), high = rig.mapped(kMemory + k1G, k4K);
	rig.tuned->valid = {{0, 32 * k4K - 1}};
	Span conflict = {};
	EXPECT_EQ(Status::exists, rig.mapper.refresh(&conflict).status);
	EXPECT_EQ(high, conflict.first);
	rig.defer(high);
	rig.defer(low);
	EXPECT_EQ(Status::ok, rig.mapper.refresh().status);
	EXPECT_TRUE(rig.faults(high));
	rig.mapper.drain(0);
	EXPECT_EQ(0u, rig.table.live());
}

}  // namespace
}  // namespace iovad::dma
