// SPDX-License-Identifier: BSD-3-Clause
// Lazy unmapping when the backend fails, and when programs unmap what they must not.
#include "lazy_fixture.h"

namespace iovad::dma {
namespace {

using Counters = core::MappingTable::Counters;

// Side by side, the first on top.
std::vector<uint64_t> neighbours(LazyRig &rig, unsigned n)
{
	std::vector<uint64_t> all = rig.mapped_pages(n);
	std::sort(all.begin(), all.end());
	EXPECT_EQ(all.front() + (n - 1) * k4K, all.back());
	return all;
}

TEST(LazyFailures, OfARunOnlyWhatFailsByItselfIsQuarantined)
{
	LazyRig rig(small(63));
	const std::vector<uint64_t> all = neighbours(rig, 5);
	for (const uint64_t iova : all)
		rig.defer(iova);
	rig.faulty.fail(Call::unmap, 1, kBroken);  // the run
	rig.faulty.fail(Call::unmap, 4, kBroken);  // its third
	EXPECT_EQ(4u, rig.pass());
	EXPECT_EQ(6u, rig.unmap_calls());
	const auto told = rig.told(Trouble::unmap_failed);
	ASSERT_EQ(1u, told.size());
	EXPECT_EQ(all[2], told[0].iova);
	EXPECT_EQ(k4K, told[0].len);
	EXPECT_EQ(1u, rig.counted(&Counters::quarantined_ranges));
	EXPECT_EQ(0u, rig.deferred());
	EXPECT_EQ(0u, rig.iova2va(all[2])) << "found by nobody";
	// Never handed out, whatever is tried.
	rig.faulty.fail(Call::unmap, 1, kBroken, 1000);
	std::vector<uint64_t> live = rig.mapped_pages(62, kMemory + k1G);
	EXPECT_EQ(0, std::count(live.begin(), live.end(), all[2]));
	uint64_t none;
	EXPECT_EQ(Status::no_space, rig.map(kMemory, k4K, none));
	// It comes back by itself, when a pass finds it due.
	rig.faulty.heal();
	while (rig.counted(&Counters::quarantined_ranges) != 0)
		rig.pass();
	EXPECT_EQ(all[2], rig.mapped(kMemory, k4K));
	live.push_back(all[2]);
	for (const uint64_t iova : live)
		EXPECT_EQ(Status::ok, rig.unmap_lazy(iova));
	rig.expect_nothing_left();
}

TEST(LazyFailures, WhatFailsInAHelperToo)
{
	LazyRig rig(lazily({.most_deferred = 8}));
	const std::vector<uint64_t> all = neighbours(rig, 9);
	rig.faulty.fail(Call::unmap, 1, kBroken, kForEver / 2);
	for (const uint64_t iova : all)
		EXPECT_EQ(Status::ok, rig.unmap_lazy(iova));
	EXPECT_EQ(8u, rig.told(Trouble::unmap_failed).size());
	EXPECT_EQ(8u, rig.counted(&Counters::quarantined_ranges));
	EXPECT_EQ(1u, rig.deferred()) << "what is quarantined is not deferred";
	EXPECT_EQ(Status::busy, rig.mapper.drain(0).status);
	EXPECT_EQ(9u, rig.counted(&Counters::quarantined_ranges));
	rig.faulty.heal();
	rig.expect_nothing_left();
}

// To be asked takes a second then.
TEST(LazyFailures, WhoDoesNotAnswerIsAskedOnce)
{
	LazyRig rig;
	const std::vector<uint64_t> pages = rig.mapped_pages(11);
	for (unsigned i = 0; i < pages.size(); i += 2)
		rig.defer(pages[i]);
	const Outcome silent = {Status::failed, ETIMEDOUT, "no answer"};
	rig.faulty.fail(Call::unmap, 1, silent);
	EXPECT_EQ(0u, rig.pass());
	EXPECT_EQ(1u, rig.unmap_calls());
	EXPECT_EQ(6u, rig.counted(&Counters::quarantined_ranges));
	EXPECT_EQ(6u, rig.told(Trouble::unmap_failed).size());
	rig.faulty.fail(Call::unmap, 3, silent);
	EXPECT_EQ(Status::busy, rig.mapper.drain(0).status);
	EXPECT_EQ(4u, rig.unmap_calls());
	EXPECT_EQ(4u, rig.counted(&Counters::quarantined_ranges)) << "two were gone before";
	EXPECT_EQ(3u, rig.counted(&Counters::retries));
	for (unsigned i = 1; i < pages.size(); i += 2)
		EXPECT_EQ(Status::ok, rig.unmap(pages[i], k4K));
	rig.expect_nothing_left();
}

TEST(LazyFailures, OneThatFailsAtOnceIsTheCallersToKnow)
{
	LazyRig rig;
	rig.mapper.serve(0);
	const uint64_t iova = rig.mapped(kMemory, k4K);
	rig.faulty.fail(Call::unmap, 1, kBroken);
	EXPECT_EQ(Status::failed, rig.unmap_lazy(iova));
	EXPECT_TRUE(rig.told(Trouble::unmap_failed).empty());
	rig.expect_nothing_left();
}

TEST(LazyFailures, AReportThatThrowsLosesNothing)
{
	LazyRig rig;
	rig.mapper.set_report([](Trouble, uint64_t, uint64_t, const Outcome &) { throw std::bad_alloc(); });
	for (const uint64_t iova : neighbours(rig, 5))
		rig.defer(iova);
	EXPECT_EQ(Status::ok, rig.unmap_lazy(k1G));
	rig.faulty.fail(Call::unmap, 1, kBroken, 3);
	EXPECT_EQ(3u, rig.pass());
	rig.expect_nothing_left();
}

// ---- bad unmaps ----

TEST(LazyBadUnmaps, AreCountedAndReportedAndHarmNothing)
{
	for (const bool helped : {false, true}) {
		LazyRig rig;
		const uint64_t iova = rig.mapped(kMemory + 5, 3 * k4K), twice = rig.mapped(kMemory + k1G, k4K);
		struct Case {
			uint64_t iova, len;
		};
		const Case bad[] = {{iova, k4K},          {iova + k4K, k4K},     {iova, 5 * k4K},
				    {iova - k4K, 2 * k4K}, {twice, k4K},          {k1G, k4K},
				    {0, 1},               {uint64_t{1} << 60, 1}, {~uint64_t{0}, 1}};
		rig.defer(twice);
		for (const Case &c : bad)
			EXPECT_EQ(Status::ok, rig.unmap_lazy(c.iova, c.len)) << "nobody looks";
		if (helped)
			rig.mapper.release_lcore(0);
		else
			EXPECT_EQ(1u, rig.pass());
		EXPECT_EQ(0u, rig.deferred());
		EXPECT_EQ(std::size(bad), rig.queues.counters.bad_unmaps);
		const auto told = rig.told(Trouble::not_mapped);
		ASSERT_EQ(std::size(bad), told.size());
		for (const Case &c : bad) {
			const uint64_t first = c.iova & ~(k4K - 1), end = ((c.iova + (c.len - 1)) | (k4K - 1)) + 1;
			EXPECT_EQ(1, std::count_if(told.begin(), told.end(),
						   [=](const auto &t) { return t.iova == first && t.len == end - first; }));
		}
		EXPECT_TRUE(rig.reaches(iova, kMemory + 5, 3 * k4K, 3));
		EXPECT_EQ(iova, rig.va2iova(kMemory + 5, 3 * k4K));
		EXPECT_EQ(1u, rig.unmap_calls());
		EXPECT_EQ(Status::ok, rig.unmap(iova, 3 * k4K));
		rig.expect_nothing_left();
	}
}

TEST(LazyBadUnmaps, WhatIsNoRangeIsRefusedAtOnce)
{
	LazyRig rig;
	for (const auto &[iova, len] : std::initializer_list<std::pair<uint64_t, uint64_t>>{
		     {k4K, 0}, {~uint64_t{0}, 2}, {k4K, ~uint64_t{0} - k4K + 2}, {~uint64_t{0} - k4K, 2 * k4K}})
		EXPECT_EQ(Status::invalid, rig.unmap_lazy(iova, len)) << iova << ' ' << len;
	EXPECT_EQ(Status::not_found, rig.unmap_lazy(k4K, k1G)) << "no entry can say it";
	EXPECT_EQ(Status::not_found, rig.unmap_lazy(k4K, ~uint64_t{0} - k4K + 1)) << "to the last of all addresses";
	EXPECT_EQ(0u, rig.deferred());
	EXPECT_EQ(0u, rig.queues.counters.bad_unmaps);
	rig.expect_nothing_left();
}

TEST(LazyBadUnmaps, CheckedOnesAreFoundAtOnce)
{
	LazyRig rig({.policy = Policy::checked});
	const uint64_t iova = rig.mapped(kMemory + 5, 3 * k4K), twice = rig.mapped(kMemory + k1G, k4K);
	EXPECT_EQ(Status::not_found, rig.unmap_lazy(iova, k4K));
	EXPECT_EQ(Status::not_found, rig.unmap_lazy(iova + k4K, 3 * k4K));
	EXPECT_EQ(Status::not_found, rig.unmap_lazy(k1G));
	rig.defer(twice);
	EXPECT_EQ(Status::not_found, rig.unmap_lazy(twice));
	EXPECT_EQ(Status::not_found, rig.unmap(twice, k4K)) << "not strictly either";
	EXPECT_EQ(1u, rig.deferred());
	EXPECT_EQ(1u, rig.pass());
	EXPECT_EQ(Status::not_found, rig.unmap_lazy(twice));
	EXPECT_EQ(0u, rig.queues.counters.bad_unmaps);
	EXPECT_FALSE(iovad_hot_retire(&rig.domain.hot(), 0, iova, 3 * k4K)) << "nothing is inlined";
	EXPECT_EQ(Status::ok, rig.unmap(iova, 3 * k4K));
	rig.expect_nothing_left();
}

// It was unmapped strictly too; the entry then ended the use of whoever came next.
TEST(LazyBadUnmaps, ACheckedOneDoesNotEndTheNextUseOfItsAddress)
{
	RigConfig config = small(1, {.cached = false});
	config.policy = Policy::checked;
	LazyRig checked(config);
	const uint64_t iova = checked.mapped(kMemory, k4K);
	checked.defer(iova);
	EXPECT_EQ(Status::not_found, checked.unmap(iova, k4K));
	EXPECT_EQ(1u, checked.pass());
	EXPECT_EQ(iova, checked.mapped(kMemory + k1G, k4K));
	EXPECT_EQ(0u, checked.pass());
	EXPECT_TRUE(checked.reaches(iova, kMemory + k1G, k4K, 3));
	checked.defer(iova);
	checked.expect_nothing_left();
}

TEST(LazyBadUnmaps, CheckedOnesOfARegionAreCountedByUse)
{
	LazyRig rig({.policy = Policy::checked});
	uint64_t region = 0;
	ASSERT_EQ(Status::ok, rig.add_region(kMemory, 8 * k4K, region));
	const uint64_t part = rig.mapped(kMemory + k4K, k4K);
	EXPECT_EQ(part, rig.mapped(kMemory + k4K, k4K));
	EXPECT_EQ(Status::ok, rig.unmap_lazy(part));
	EXPECT_EQ(Status::ok, rig.unmap_lazy(part));
	EXPECT_EQ(Status::not_found, rig.unmap_lazy(part));
	EXPECT_EQ(Status::not_found, rig.unmap(part, k4K));
	rig.pass();
	EXPECT_EQ(part, rig.mapped(kMemory + k4K, k4K));
	EXPECT_EQ(Status::ok, rig.unmap(part, k4K));
	EXPECT_EQ(Status::ok, rig.remove_region(kMemory, 8 * k4K));
	rig.expect_nothing_left();
}

}  // namespace
}  // namespace iovad::dma
