// SPDX-License-Identifier: BSD-3-Clause
// Lazy and strict unmaps beside each other, in domains of either policy; with what is shared;
// and drain().
#include <future>
#include <utility>

#include "lazy_fixture.h"

namespace iovad::dma {
namespace {

using Counters = core::MappingTable::Counters;

TEST(LazyPolicies, AStrictUnmapInALazyDomainIsDoneWhenItReturns)
{
	LazyRig rig;
	const uint64_t later = rig.mapped(kMemory, k4K), now = rig.mapped(kMemory + k1G, k4K);
	rig.defer(later);
	EXPECT_EQ(Status::ok, rig.unmap(now, k4K));
	EXPECT_TRUE(rig.faults(now));
	EXPECT_EQ(1u, rig.deferred()) << "others wait on";
	rig.expect_nothing_left();
}

TEST(LazyPolicies, InALazyDomainBuffersAreNotShared)
{
	LazyRig rig;
	const uint64_t a = rig.mapped(kMemory + 100, 50), b = rig.mapped(kMemory + 200, 50);
	EXPECT_NE(a & ~(k4K - 1), b & ~(k4K - 1));
	EXPECT_EQ(0u, rig.counted(&Counters::shared));
	EXPECT_EQ(Status::ok, rig.unmap_lazy(a, 50));
	rig.pass();
	EXPECT_TRUE(rig.reaches(b, kMemory + 200, 50, 3));
	EXPECT_EQ(Status::ok, rig.unmap_lazy(b, 50));
	rig.expect_nothing_left();
}

TEST(LazyPolicies, InAStrictDomainSharingEndsWithTheFirstLazyUnmap)
{
	LazyRig rig({.policy = Policy::strict});
	const uint64_t a = rig.mapped(kMemory, k4K);
	EXPECT_EQ(a, rig.mapped(kMemory, k4K));
	EXPECT_FALSE(iovad_hot_retire(&rig.domain.hot(), 0, a, k4K)) << "only by the call that says so";
	rig.defer(a);
	EXPECT_FALSE(iovad_hot_retire(&rig.domain.hot(), 0, a, k4K));
	const uint64_t b = rig.mapped(kMemory, k4K), c = rig.mapped(kMemory, k4K);
	EXPECT_NE(a, b);
	EXPECT_NE(b, c);
	EXPECT_EQ(c, rig.va2iova(kMemory));
	rig.pass();
	EXPECT_TRUE(rig.reaches(a, kMemory, k4K, 3)) << "one use is left";
	for (const uint64_t iova : {a, b, c})
		EXPECT_EQ(Status::ok, rig.unmap(iova, k4K));
	EXPECT_EQ(0u, rig.deferred());
	rig.expect_nothing_left();
}

// A longer and older one hid it, and was on its way out.
TEST(LazyPolicies, InAStrictDomainLookupsLeadToTheNewestFromThenOn)
{
	LazyRig rig({.policy = Policy::strict});
	const uint64_t old = rig.mapped(kMemory, 4 * k4K), young = rig.mapped(kMemory + k4K, k4K);
	EXPECT_EQ(old + k4K, rig.va2iova(kMemory + k4K));
	rig.defer(old, 4 * k4K);
	EXPECT_EQ(young, rig.va2iova(kMemory + k4K));
	EXPECT_TRUE(rig.verify());
	rig.pass();
	EXPECT_EQ(young, rig.va2iova(kMemory + k4K));
	EXPECT_EQ(Status::ok, rig.unmap(young, k4K));
	rig.expect_nothing_left();
}

TEST(LazyPolicies, AStrictUnmapEndsWhatTheOtherUseLeftDeferred)
{
	LazyRig rig({.policy = Policy::strict});
	const uint64_t iova = rig.mapped(kMemory, k4K);
	EXPECT_EQ(iova, rig.mapped(kMemory, k4K));
	rig.defer(iova);
	EXPECT_EQ(Status::ok, rig.unmap(iova, k4K));
	EXPECT_TRUE(rig.faults(iova));
	rig.expect_nothing_left();
}

// The other use is in the hands of somebody who is held.
TEST(LazyPolicies, AStrictUnmapWaitsForWhoeverEndsTheOtherUse)
{
	for (const bool helper : {false, true}) {
		for (const When when : {When::before, When::after}) {
			LazyRig rig({.policy = Policy::strict});
			const uint64_t iova = rig.mapped(kMemory, k4K), first = rig.mapped(kMemory + k1G, k4K);
			EXPECT_EQ(iova, rig.mapped(kMemory, k4K));
			rig.defer(first);
			rig.defer(iova);
			rig.faulty.hold(Call::unmap, 1, when);
			std::thread worker([&] { helper ? rig.mapper.release_lcore(0) : static_cast<void>(rig.pass()); });
			ASSERT_TRUE(rig.faulty.wait_held());
			std::thread strict([&] {
				EXPECT_EQ(Status::ok, rig.mapper.unmap(2, iova, k4K).status);
				EXPECT_TRUE(rig.faults(iova));
			});
			std::this_thread::yield();
			rig.faulty.release();
			worker.join();
			strict.join();
			rig.expect_nothing_left();
		}
	}
}

// It fails, and somebody is trying it again before the unmap returns.
TEST(LazyPolicies, AStrictUnmapWaitsForWhoeverTriesTheOtherUseAgain)
{
	Rig rig({.policy = Policy::strict});
	std::promise<void> first_tried, retrier_comes, go_on, tried_again;
	rig.mapper.set_report([&](Trouble trouble, uint64_t, uint64_t, const Outcome &) {
		if (trouble == Trouble::still_quarantined) {
			// Nobody else tries anything meanwhile.
			first_tried.set_value();
			go_on.get_future().wait();
		} else if (trouble == Trouble::unmap_failed) {
			rig.faulty.hold(Call::unmap, 1);
			go_on.set_value();
			EXPECT_TRUE(rig.faulty.wait_held());
			tried_again.set_value();
		}
	});
	rig.mapper.set_watch([&, first = true](unsigned, unsigned, uint64_t) mutable {
		if (std::exchange(first, false))
			retrier_comes.set_value();
	});
	rig.mapper.serve(kForEver);
	const uint64_t stuck = rig.mapped(kMemory + k1G, k4K), deferred = rig.mapped(kMemory + 2 * k1G, k4K);
	const uint64_t iova = rig.mapped(kMemory, k4K);
	EXPECT_EQ(iova, rig.mapped(kMemory, k4K));
	rig.faulty.fail(Call::unmap, 1, kBroken, Quarantine::kTriesReported);
	EXPECT_EQ(Status::failed, rig.unmap(stuck, k4K));
	for (unsigned tries = 2; tries < Quarantine::kTriesReported; ++tries)
		EXPECT_EQ(Status::busy, rig.mapper.drain(0).status);
	std::thread first([&] { rig.mapper.drain(1); });
	first_tried.get_future().wait();
	EXPECT_TRUE(rig.mapper.unmap_lazy(2, deferred, k4K).ok());
	std::thread retrier([&] { rig.mapper.drain(2); });
	retrier_comes.get_future().wait();
	EXPECT_TRUE(rig.mapper.unmap_lazy(3, iova, k4K).ok());
	rig.faulty.fail(Call::unmap, 1, kBroken);
	std::atomic<bool> released = false;
	std::thread strict([&] {
		EXPECT_EQ(Status::ok, rig.mapper.unmap(4, iova, k4K).status);
		EXPECT_TRUE(released);
		EXPECT_TRUE(rig.faults(iova));
	});
	tried_again.get_future().wait();
	std::this_thread::yield();
	released = true;
	rig.faulty.release();
	first.join();
	retrier.join();
	strict.join();
	EXPECT_EQ(Status::ok, rig.mapper.drain(0).status);
	rig.expect_empty();
}

// ---- regions ----

TEST(LazyRegions, ARegionWithPartsDeferredIsRemoved)
{
	LazyRig rig;
	uint64_t region = 0;
	ASSERT_EQ(Status::ok, rig.add_region(kMemory, 8 * k4K, region));
	for (const uint64_t len : {k4K, 3 * k4K, 8 * k4K}) {
		EXPECT_EQ(region, rig.mapped(kMemory, len)) << "regions are shared";
		EXPECT_EQ(Status::busy, rig.remove_region(kMemory, 8 * k4K));
		rig.defer(region, len);
	}
	EXPECT_EQ(Status::ok, rig.remove_region(kMemory, 8 * k4K));
	EXPECT_TRUE(rig.faults(region));
	EXPECT_EQ(0u, rig.queues.counters.bad_unmaps);
	rig.expect_nothing_left();
}

TEST(LazyRegions, RemovingWaitsForWhoeverEndsAPart)
{
	LazyRig rig;
	uint64_t region = 0;
	ASSERT_EQ(Status::ok, rig.add_region(kMemory, 8 * k4K, region));
	const uint64_t other = rig.mapped(kMemory + k1G, k4K);
	rig.defer(other);
	rig.faulty.hold(Call::unmap, 1);
	std::thread passer([&] { EXPECT_EQ(1u, rig.pass()); });
	ASSERT_TRUE(rig.faulty.wait_held());
	rig.defer(rig.mapped(kMemory, k4K));
	std::thread remover([&] { EXPECT_EQ(Status::ok, rig.remove_region(kMemory, 8 * k4K)); });
	std::this_thread::yield();
	rig.faulty.release();
	passer.join();
	remover.join();
	rig.expect_nothing_left();
}

TEST(LazyRegions, AStrictUnmapInARegionDrainsNobody)
{
	LazyRig rig;
	uint64_t region = 0;
	ASSERT_EQ(Status::ok, rig.add_region(kMemory, 8 * k4K, region));
	rig.defer(rig.mapped(kMemory + k1G, k4K));
	EXPECT_EQ(region, rig.mapped(kMemory, k4K));
	EXPECT_EQ(region, rig.mapped(kMemory, k4K));
	EXPECT_EQ(Status::ok, rig.unmap(region, k4K));
	EXPECT_EQ(Status::ok, rig.unmap(region, k4K));
	EXPECT_EQ(1u, rig.deferred());
	EXPECT_EQ(Status::ok, rig.remove_region(kMemory, 8 * k4K));
	rig.expect_nothing_left();
}

// Over whose edge a deferred buffer hangs.
TEST(LazyRegions, ARegionIsFoundNotABufferOnItsWayOut)
{
	LazyRig rig;
	uint64_t region = 0;
	const uint64_t buffer = rig.mapped(kMemory, 3 * k4K);
	rig.defer(buffer, 3 * k4K);
	ASSERT_EQ(Status::ok, rig.add_region(kMemory + 2 * k4K, 8 * k4K, region));
	EXPECT_EQ(region, rig.va2iova(kMemory + 2 * k4K));
	EXPECT_EQ(region, rig.mapped(kMemory + 2 * k4K, k4K));
	rig.defer(region);
	rig.pass();
	EXPECT_EQ(region, rig.va2iova(kMemory + 2 * k4K, 8 * k4K));
	EXPECT_EQ(Status::ok, rig.remove_region(kMemory + 2 * k4K, 8 * k4K));
	rig.expect_nothing_left();
}

// ---- drain() ----

TEST(LazyDrain, EndsWhatEveryLcoreDeferred)
{
	LazyRig rig;
	const std::vector<uint64_t> all = rig.mapped_pages(30);
	for (unsigned i = 0; i < all.size(); ++i)
		rig.defer(all[i], k4K, i % 3 == 2 ? core::kNoLcore : i % 3);
	EXPECT_TRUE(rig.mapper.drain(7).ok());
	for (const uint64_t iova : all)
		EXPECT_TRUE(rig.faults(iova));
	rig.mapper.serve(0);
	rig.expect_nothing_left();
}

TEST(LazyDrain, WaitsForPassesAndForHelpersInTheMiddle)
{
	for (const bool helper : {false, true}) {
		for (const When when : {When::before, When::after}) {
			LazyRig rig;
			const std::vector<uint64_t> all = rig.mapped_pages(3);
			for (const uint64_t iova : all)
				rig.defer(iova);
			rig.faulty.hold(Call::unmap, 1, when);
			std::thread worker([&] { helper ? rig.mapper.release_lcore(0) : static_cast<void>(rig.pass()); });
			ASSERT_TRUE(rig.faulty.wait_held());
			std::atomic<bool> released = false;
			std::thread drainer([&] {
				EXPECT_TRUE(rig.mapper.drain(4).ok());
				EXPECT_TRUE(released);
				EXPECT_EQ(0u, rig.deferred());
				EXPECT_TRUE(rig.faults(all[0]));
			});
			std::this_thread::yield();
			released = true;
			rig.faulty.release();
			worker.join();
			drainer.join();
			rig.expect_nothing_left();
		}
	}
}

// Who begins to help later is not waited for.
TEST(LazyDrain, EndsWhileOthersGoOnHelping)
{
	LazyRig rig(lazily({.records = 1024, .most_deferred = 8}));
	std::atomic<bool> stop = false;
	std::vector<std::thread> busy;
	for (unsigned me = 0; me < 2; ++me) {
		busy.emplace_back([&, me] {
			for (unsigned i = 0; !stop; ++i) {
				uint64_t iova = 0;
				EXPECT_TRUE(rig.mapper.map(me, at(kMemory + me * k1G + i % 64 * k2M), k4K, kNoLimit, 3, iova).ok());
				EXPECT_EQ(Status::ok, rig.unmap_lazy(iova, k4K, me));
			}
		});
	}
	for (int i = 0; i < 200; ++i) {
		uint64_t iova = 0;
		EXPECT_TRUE(rig.mapper.map(5, at(kMemory + 5 * k1G), k4K, kNoLimit, 3, iova).ok());
		EXPECT_EQ(Status::ok, rig.unmap_lazy(iova, k4K, 5));
		EXPECT_TRUE(rig.mapper.drain(6).ok());
	}
	stop = true;
	for (std::thread &t : busy)
		t.join();
	rig.expect_nothing_left();
}

}  // namespace
}  // namespace iovad::dma
