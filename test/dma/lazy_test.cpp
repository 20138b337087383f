// SPDX-License-Identifier: BSD-3-Clause
// Unmapping lazily: what it costs the caller, when it happens, and that no address is handed
// out before.
#include <set>

#include "lazy_fixture.h"

namespace iovad::dma {
namespace {

TEST(LazyTest, AnUnmapIsOnePut)
{
	LazyRig rig(small(63));
	const std::vector<uint64_t> all = rig.mapped_pages(3);
	rig.defer(all[0]);
	const uint64_t limit = rig.deferred();
	EXPECT_TRUE(iovad_hot_retire(&rig.domain.hot(), 0, all[1], k4K)) << "the inlined path does it";
	EXPECT_EQ(limit + 1, rig.deferred());
	EXPECT_EQ(0u, rig.unmap_calls());
	for (unsigned i = 0; i < 2; ++i) {
		EXPECT_TRUE(rig.reaches(all[i], kMemory + 2 * i * k4K, k4K, 3));
		EXPECT_EQ(kMemory + 2 * i * k4K, rig.iova2va(all[i]));
	}
	for (const uint64_t other : rig.mapped_pages(60, kMemory + k1G)) {
		EXPECT_EQ(0, std::count(all.begin(), all.end(), other));
		EXPECT_EQ(Status::ok, rig.unmap_lazy(other));
	}
	EXPECT_EQ(0u, rig.unmap_calls());
	EXPECT_EQ(62u, rig.pass());
	EXPECT_TRUE(rig.faults(all[0]));
	EXPECT_EQ(0u, rig.iova2va(all[0]));
	EXPECT_EQ(0u, rig.va2iova(kMemory));
	EXPECT_TRUE(rig.reaches(all[2], kMemory + 4 * k4K, k4K, 3));
	EXPECT_EQ(0u, rig.deferred());
	EXPECT_EQ(0u, rig.pass());
	EXPECT_EQ(Status::ok, rig.unmap(all[2], k4K));
	rig.expect_nothing_left();
}

TEST(LazyTest, APassUnmapsNeighboursInOneCall)
{
	for (const bool cached : {false, true}) {
		LazyRig rig(lazily({.cached = cached}));
		std::vector<uint64_t> all = rig.mapped_pages(64);
		for (const uint64_t iova : all)
			rig.defer(iova);
		std::sort(all.begin(), all.end());
		uint64_t runs = 1;
		for (size_t i = 1; i < all.size(); ++i)
			runs += all[i] != all[i - 1] + k4K;
		EXPECT_EQ(1u, runs);
		EXPECT_EQ(64u, rig.pass());
		EXPECT_EQ(runs, rig.unmap_calls());
		EXPECT_EQ(64u, rig.table.counters.unmapped);
		EXPECT_EQ(1u, rig.queues.counters.flushes);
		rig.expect_nothing_left();
	}
}

TEST(LazyTest, ARunIsOfWhatTouchesAndOfAllLengths)
{
	LazyRig rig(small(300, {.cached = false}));
	const uint64_t a = rig.mapped(kMemory, 3 * k4K), b = rig.mapped(kMemory + k1G, 100 * k4K), c = rig.mapped(kMemory + 2 * k1G, k4K);
	EXPECT_EQ(Status::ok, rig.unmap_lazy(c));
	EXPECT_EQ(Status::ok, rig.unmap_lazy(a, 3 * k4K));
	EXPECT_EQ(2u, rig.pass());
	EXPECT_TRUE(rig.reaches(b, kMemory + k1G, 100 * k4K, 3));
	EXPECT_TRUE(rig.faults(a));
	EXPECT_TRUE(rig.faults(c));
	EXPECT_EQ(Status::ok, rig.unmap_lazy(b, 100 * k4K));
	rig.expect_nothing_left();
}

// ---- an address is handed out after its translation has gone ----

enum class Who { pass, helper, drain };

class LazyHeld : public testing::TestWithParam<std::tuple<Who, When, bool>> {};

TEST_P(LazyHeld, NoAddressComesBackBeforeTheInvalidationHasEnded)
{
	const auto [who, when, cached] = GetParam();
	constexpr unsigned kPages = 63, kDeferred = 32, kLeft = kPages - kDeferred - 1;
	LazyRig rig(small(kPages, {.cached = cached, .most_deferred = kDeferred}));
	std::vector<uint64_t> old = rig.mapped_pages(kDeferred + 1);
	const std::set<uint64_t> held(old.begin(), old.end());
	for (unsigned i = 0; i < kDeferred; ++i)
		rig.defer(old[i]);
	rig.faulty.hold(Call::unmap, 1, when);
	std::thread worker([&, who = who] {
		if (who == Who::pass)
			EXPECT_EQ(kDeferred, rig.pass());
		else if (who == Who::drain)
			EXPECT_TRUE(rig.mapper.drain(5).ok());
		else
			EXPECT_EQ(Status::ok, rig.unmap_lazy(old[kDeferred]));
	});
	ASSERT_TRUE(rig.faulty.wait_held());
	for (unsigned i = 0; i < kDeferred; ++i) {
		EXPECT_EQ(0u, rig.iova2va(old[i])) << "nobody finds it any more";
		EXPECT_EQ(when == When::after, rig.faults(old[i]));
	}
	// All else that the domain holds.
	std::vector<uint64_t> fresh(kLeft);
	std::atomic<unsigned> wrong = 0, next = 0;
	std::vector<std::thread> others;
	for (unsigned me = 1; me <= 3; ++me) {
		others.emplace_back([&, me] {
			for (unsigned i; (i = next++) < kLeft;) {
				wrong += !rig.mapper.map(me, at(kMemory + k1G + i * k2M), k4K, kNoLimit, 3, fresh[i]).ok();
				wrong += held.contains(fresh[i]);
			}
		});
	}
	for (std::thread &t : others)
		t.join();
	EXPECT_EQ(0u, wrong);
	// One more has to wait.
	std::atomic<bool> released = false;
	std::thread late([&] {
		uint64_t iova = 0;
		EXPECT_TRUE(rig.mapper.map(4, at(kMemory + 4 * k1G), k4K, kNoLimit, 3, iova).ok());
		EXPECT_TRUE(released);
		EXPECT_TRUE(held.contains(iova));
		EXPECT_TRUE(rig.mapper.unmap(4, iova, k4K).ok());
	});
	std::this_thread::yield();
	released = true;
	rig.faulty.release();
	worker.join();
	late.join();
	if (who != Who::helper) {
		EXPECT_EQ(Status::ok, rig.unmap(old[kDeferred], k4K));
	}
	EXPECT_TRUE(rig.mapper.drain(0).ok());
	// All come back.
	for (const uint64_t iova : rig.mapped_pages(kDeferred + 1, kMemory + 8 * k1G)) {
		EXPECT_TRUE(held.contains(iova));
		EXPECT_EQ(Status::ok, rig.unmap(iova, k4K));
	}
	for (const uint64_t iova : fresh)
		EXPECT_EQ(Status::ok, rig.unmap(iova, k4K));
	rig.expect_nothing_left();
}

INSTANTIATE_TEST_SUITE_P(All, LazyHeld,
			 testing::Combine(testing::Values(Who::pass, Who::helper, Who::drain),
					  testing::Values(When::before, When::after), testing::Bool()));

// ---- lookups ----

TEST(LazyTest, TheSameMemoryMappedAgainIsAnotherMapping)
{
	struct Case {
		uint64_t page, pages;
	};
	for (const Case &c : {Case{10, 4}, {11, 2}, {8, 10}, {8, 4}, {12, 5}}) {
		SCOPED_TRACE(testing::Message() << c.page << " +" << c.pages);
		LazyRig rig;
		const uint64_t va = kMemory + c.page * k4K, len = c.pages * k4K;
		const uint64_t old = rig.mapped(kMemory + 10 * k4K, 4 * k4K);
		rig.defer(old, 4 * k4K);
		const uint64_t young = rig.mapped(va, len);
		EXPECT_TRUE(young + len <= old || old + 4 * k4K <= young);
		for (uint64_t i = 0; i < c.pages; ++i)
			EXPECT_EQ(young + i * k4K, rig.va2iova(va + i * k4K));
		EXPECT_EQ(1u, rig.pass());
		EXPECT_EQ(young, rig.va2iova(va, len));
		EXPECT_TRUE(rig.reaches(young, va, len, 3));
		const uint64_t third = rig.mapped(va, len);
		rig.defer(third, len);
		EXPECT_EQ(1u, rig.pass());
		EXPECT_EQ(young, rig.va2iova(va, len)) << "the older again";
		rig.defer(young, len);
		rig.expect_nothing_left();
		EXPECT_EQ(0u, rig.va2iova(va));
	}
}

// ---- lcores ----

TEST(LazyTest, ThreadsWithoutAnLcoreShareAQueue)
{
	LazyRig rig;
	const std::vector<uint64_t> all = rig.mapped_pages(60);
	std::vector<std::thread> threads;
	for (unsigned me = 0; me < 3; ++me) {
		threads.emplace_back([&, me] {
			for (unsigned i = me; i < all.size(); i += 3)
				EXPECT_EQ(Status::ok, rig.unmap_lazy(all[i], k4K, core::kNoLcore));
		});
	}
	for (std::thread &t : threads)
		t.join();
	EXPECT_EQ(60u, rig.queues.shared().put());
	EXPECT_EQ(0u, rig.unmap_calls());
	EXPECT_EQ(60u, rig.pass());
	rig.expect_nothing_left();
}

TEST(LazyTest, MoreLcoresThanQueues)
{
	LazyRig rig;
	const std::vector<uint64_t> all = rig.mapped_pages(200);
	for (unsigned i = 0; i < all.size(); ++i)
		rig.defer(all[i], k4K, i % 20);
	EXPECT_EQ(16u * 10, rig.queues.shared().put()) << "four have one of their own";
	EXPECT_EQ(200u, rig.pass());
	// One that has gone makes room for another.
	rig.mapper.release_lcore(2);
	const uint64_t iova = rig.mapped(kMemory, k4K);
	rig.defer(iova, k4K, 19);
	EXPECT_EQ(16u * 10, rig.queues.shared().put());
	rig.expect_nothing_left();
}

TEST(LazyTest, WhatAnLcoreLeavesBehindIsUnmapped)
{
	LazyRig rig;
	const std::vector<uint64_t> all = rig.mapped_pages(100);
	for (const uint64_t iova : all)
		rig.defer(iova, k4K, 3);
	rig.mapper.release_lcore(3);
	EXPECT_EQ(0u, rig.deferred());
	for (const uint64_t iova : all)
		EXPECT_TRUE(rig.faults(iova));
	EXPECT_FALSE(iovad_hot_retire(&rig.domain.hot(), 3, k4K, k4K)) << "it has no queue";
	rig.mapper.release_lcore(3);
	rig.mapper.release_lcore(4);
	rig.defer(rig.mapped(kMemory, k4K), k4K, 3);
	rig.expect_nothing_left();
}

// Another has taken some of it.
TEST(LazyTest, AnLcoreLeavesBesideAPassThatIsHeld)
{
	LazyRig rig;
	const std::vector<uint64_t> all = rig.mapped_pages(10);
	for (unsigned i = 0; i < 5; ++i)
		rig.defer(all[i], k4K, 3);
	rig.faulty.hold(Call::unmap, 1);
	std::thread passer([&] { EXPECT_EQ(5u, rig.pass()); });
	ASSERT_TRUE(rig.faulty.wait_held());
	for (unsigned i = 5; i < 10; ++i)
		rig.defer(all[i], k4K, 3);
	rig.mapper.release_lcore(3);
	EXPECT_EQ(5u, rig.deferred());
	EXPECT_TRUE(rig.faults(all[9]));
	rig.faulty.release();
	passer.join();
	rig.expect_nothing_left();
}

}  // namespace
}  // namespace iovad::dma
