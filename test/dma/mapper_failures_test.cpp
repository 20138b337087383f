// SPDX-License-Identifier: BSD-3-Clause
// Whatever fails: the state after a failed call is the one before it, but for what could
// not be unmapped, which is quarantined.
#include <cerrno>
#include <map>
#include <thread>

#include "mapper_fixture.h"
#include "random.h"

namespace iovad::dma {
namespace {

using core::MappingTable;
using Counters = MappingTable::Counters;

class MapperFailures : public testing::Test {
protected:
	// Exact, so that states can be compared.
	Rig rig{{.cached = false}};
};

TEST_F(MapperFailures, AFailedMapIsNotRecorded)
{
	const Snapshot before = rig.snapshot();
	const struct {
		Status status;
		int error;
	} cases[] = {{Status::failed, EIO}, {Status::exists, EEXIST}, {Status::denied, EPERM}, {Status::no_space, ENOSPC},
		     {Status::no_memory, ENOMEM}, {Status::bad_memory, EFAULT}, {Status::invalid, EINVAL}};
	uint64_t errors = 0;
	for (const auto &c : cases) {
		rig.faulty.fail(Call::map, 1, {c.status, c.error, "because"}, 1);
		uint64_t iova = 77;
		const Outcome o = rig.mapper.map(0, at(kMemory + 5), 3 * k2M, kNoLimit, 3, iova);
		EXPECT_EQ(c.status, o.status);
		EXPECT_EQ(c.error, o.error);
		EXPECT_STREQ("because", o.advice);
		EXPECT_EQ(77u, iova);
		EXPECT_EQ(before, rig.snapshot());
		EXPECT_EQ(++errors, rig.counted(&Counters::errors));
		EXPECT_EQ(0u, rig.va2iova(kMemory + 5));
	}
	EXPECT_EQ(0u, rig.counted(&Counters::maps));
}

TEST_F(MapperFailures, AFailedUnmapQuarantines)
{
	const uint64_t iova = rig.mapped(kMemory, 3 * k4K);
	rig.faulty.fail(Call::unmap, 1, {Status::failed, ETIMEDOUT, "no answer"}, 2);
	const Outcome o = rig.mapper.unmap(0, iova, 3 * k4K);
	EXPECT_EQ(Status::failed, o.status);
	EXPECT_EQ(ETIMEDOUT, o.error);
	EXPECT_STREQ("no answer", o.advice);
	EXPECT_EQ(3 * k4K, rig.counted(&Counters::quarantined_bytes));
	EXPECT_EQ(1u, rig.counted(&Counters::errors));
	EXPECT_EQ(0u, rig.iova2va(iova)) << "nobody finds it";
	EXPECT_EQ(0u, rig.va2iova(kMemory));
	EXPECT_EQ(Status::not_found, rig.unmap(iova, 3 * k4K));
	EXPECT_TRUE(rig.reaches(iova, kMemory, 3 * k4K, 3)) << "devices do";
	const uint64_t again = rig.mapped(kMemory, 3 * k4K);
	EXPECT_NE(iova, again) << "not shared, not handed out";
	EXPECT_FALSE(rig.mapper.make_room(0)) << "fails as well";
	EXPECT_EQ(3 * k4K, rig.counted(&Counters::quarantined_bytes));
	EXPECT_TRUE(rig.mapper.make_room(0));
	EXPECT_EQ(0u, rig.counted(&Counters::quarantined_bytes));
	EXPECT_TRUE(rig.faults(iova));
	EXPECT_FALSE(rig.mapper.make_room(0)) << "nothing left";
	EXPECT_EQ(Status::ok, rig.unmap(again, 3 * k4K));
	rig.expect_empty();
}

// Gone from the table, but the invalidation timed out: who knows what devices still see.
TEST_F(MapperFailures, WhatFailedAfterItWasDoneStaysQuarantined)
{
	const uint64_t iova = rig.mapped(kMemory, k4K);
	rig.faulty.fail(Call::unmap, 1, kBroken, 1, When::after);
	EXPECT_EQ(Status::failed, rig.unmap(iova, k4K));
	EXPECT_FALSE(rig.mapper.make_room(0)) << "there is nothing to unmap, and that proves nothing";
	EXPECT_EQ(k4K, rig.counted(&Counters::quarantined_bytes));
	EXPECT_EQ(1u, rig.domain.stats().live_ranges);
	EXPECT_NE(iova, rig.mapped(kMemory, k4K));
}

TEST_F(MapperFailures, ARegionThatCannotBeUnmappedIsGoneAndQuarantined)
{
	uint64_t iova, again;
	ASSERT_EQ(Status::ok, rig.add_region(kMemory + k4K, 2 * k2M, iova));
	rig.faulty.fail(Call::unmap, 1, kBroken);
	EXPECT_EQ(Status::failed, rig.remove_region(kMemory + k4K, 2 * k2M));
	EXPECT_EQ(Status::not_found, rig.remove_region(kMemory + k4K, 2 * k2M));
	EXPECT_EQ(2 * k2M, rig.counted(&Counters::quarantined_bytes));
	ASSERT_EQ(Status::ok, rig.add_region(kMemory + k4K, 2 * k2M, again));
	EXPECT_NE(iova, again);
	EXPECT_TRUE(rig.mapper.make_room(0));
	EXPECT_EQ(Status::ok, rig.remove_region(kMemory + k4K, 2 * k2M));
	rig.expect_empty();
}

// What EAL is to install is tried first. What the trial leaves behind is not handed out.
TEST_F(MapperFailures, ATrialThatCannotBeTakenBackIsQuarantined)
{
	uint64_t iova;
	rig.faulty.fail(Call::unmap, 1, kBroken);
	EXPECT_EQ(Status::failed, rig.mapper.add_region(at(kMemory), k4K, kNoLimit, kBidirectional, iova, Installer::other).status);
	EXPECT_EQ(k4K, rig.table.counters.quarantined_bytes);
	EXPECT_EQ(1u, rig.soft->stats().mappings);
	EXPECT_TRUE(rig.mapper.make_room(0));
	rig.expect_empty();
}

// In a small domain: whatever is asked for, the quarantined address is not given.
TEST_F(MapperFailures, AQuarantinedAddressIsNeverHandedOut)
{
	for (const bool cached : {false, true}) {
		Rig small({.last = 128 * k4K - 1, .cached = cached});
		const uint64_t iova = small.mapped(kMemory, k4K);
		small.faulty.fail(Call::unmap, 1, kBroken, FaultyBackend::kForever);
		ASSERT_EQ(Status::failed, small.unmap(iova, k4K));
		std::vector<uint64_t> all;
		uint64_t other;
		while (small.domain.alloc(static_cast<unsigned>(all.size() % 3), k4K, kNoLimit, other) == Status::ok) {
			EXPECT_NE(iova, other);
			all.push_back(other);
		}
		EXPECT_EQ(126u, all.size());
		EXPECT_EQ(Status::exists, small.domain.reserve(iova, k4K));
		for (const uint64_t each : all)
			EXPECT_EQ(Status::ok, small.domain.free(0, each, k4K));
		small.faulty.heal();
		EXPECT_TRUE(small.mapper.make_room(0));
		EXPECT_EQ(Status::ok, small.domain.reserve(iova, k4K));
	}
}

// No address is handed out before its translation is gone.
TEST_F(MapperFailures, AnAddressIsNotHandedOutWhileItsUnmapIsUnderWay)
{
	for (const bool cached : {false, true}) {
		for (const When when : {When::before, When::after}) {
			for (const uint64_t pages : {1, 3, 65}) {
				Rig small({.last = 256 * k4K - 1, .cached = cached});
				const uint64_t iova = small.mapped(kMemory, pages * k4K);
				small.faulty.hold(Call::unmap, 1, when);
				std::thread unmapper([&] { EXPECT_EQ(Status::ok, small.unmap(iova, pages * k4K)); });
				ASSERT_TRUE(small.faulty.wait_held());
				EXPECT_EQ(0u, small.iova2va(iova));
				EXPECT_EQ(Status::not_found, small.unmap(iova, pages * k4K));
				std::vector<uint64_t> all;
				uint64_t other;
				while (small.map(kMemory + k2M * (all.size() + 1), k4K, other) == Status::ok) {
					EXPECT_TRUE(other + k4K <= iova || other >= iova + pages * k4K) << other;
					all.push_back(other);
				}
				EXPECT_LE(255 - std::bit_ceil(pages), all.size());
				small.faulty.release();
				unmapper.join();
				EXPECT_TRUE(small.verify());
				for (const uint64_t each : all)
					EXPECT_EQ(Status::ok, small.unmap(each, k4K));
				small.expect_empty();
			}
		}
	}
}

// What is being unmapped is not shared: it would be gone in a moment.
TEST_F(MapperFailures, MappingWhatIsBeingUnmappedMapsItAnew)
{
	const uint64_t iova = rig.mapped(kMemory, k4K);
	rig.faulty.hold(Call::unmap, 1);
	std::thread unmapper([&] { EXPECT_EQ(Status::ok, rig.unmap(iova, k4K)); });
	ASSERT_TRUE(rig.faulty.wait_held());
	const uint64_t again = rig.mapped(kMemory, k4K);
	EXPECT_NE(iova, again);
	rig.faulty.release();
	unmapper.join();
	EXPECT_TRUE(rig.reaches(again, kMemory, k4K, 3));
	EXPECT_EQ(again, rig.va2iova(kMemory));
	EXPECT_EQ(Status::ok, rig.unmap(again, k4K));
	rig.expect_empty();
}

// Two at once: each has its own, and both go.
TEST_F(MapperFailures, TheSameMemoryMappedTwiceAtOnce)
{
	uint64_t first = 0;
	rig.faulty.hold(Call::map, 1);
	std::thread mapper([&] { EXPECT_EQ(Status::ok, rig.map(kMemory, k4K, first)); });
	ASSERT_TRUE(rig.faulty.wait_held());
	EXPECT_EQ(0u, rig.va2iova(kMemory)) << "not before it is there";
	const uint64_t second = rig.mapped(kMemory, k4K);
	rig.faulty.release();
	mapper.join();
	EXPECT_NE(first, second);
	EXPECT_TRUE(rig.verify());
	EXPECT_EQ(Status::ok, rig.unmap(second, k4K));
	EXPECT_EQ(first, rig.va2iova(kMemory));
	EXPECT_EQ(Status::ok, rig.unmap(first, k4K));
	rig.expect_empty();
}

// ---- limits of the backend ----

TEST_F(MapperFailures, AtALimitOfTheBackendWhatIsQuarantinedGoesFirst)
{
	RigConfig config{.cached = false};
	config.soft.max_mappings = 2;
	Rig few(config);
	const uint64_t a = few.mapped(kMemory, k4K), b = few.mapped(kMemory + k2M, k4K);
	uint64_t iova;
	const Snapshot full = few.snapshot();
	EXPECT_EQ(Status::no_space, few.map(kMemory + 2 * k2M, k4K, iova)) << "nothing to flush";
	EXPECT_EQ(full, few.snapshot());
	few.faulty.fail(Call::unmap, 1, kBroken);
	EXPECT_EQ(Status::failed, few.unmap(a, k4K));
	const uint64_t calls = few.faulty.calls(Call::map);
	const uint64_t c = few.mapped(kMemory + 2 * k2M, k4K);
	EXPECT_EQ(calls + 2, few.faulty.calls(Call::map)) << "tried once more";
	EXPECT_EQ(0u, few.counted(&Counters::quarantined_bytes));
	EXPECT_EQ(Status::ok, few.unmap(b, k4K));
	EXPECT_EQ(Status::ok, few.unmap(c, k4K));
	few.expect_empty();
}

TEST_F(MapperFailures, AtTheLimitOfLockedMemoryToo)
{
	RigConfig config{.cached = false};
	config.soft.locked_limit = 4 * k4K;
	Rig few(config);
	const uint64_t a = few.mapped(kMemory, 4 * k4K);
	uint64_t iova;
	EXPECT_EQ(Status::no_memory, few.map(kMemory + k2M, k4K, iova));
	few.faulty.fail(Call::unmap, 1, kBroken, 2);
	EXPECT_EQ(Status::failed, few.unmap(a, 4 * k4K));
	EXPECT_EQ(Status::no_memory, few.map(kMemory + k2M, k4K, iova)) << "the flush fails as well";
	const uint64_t b = few.mapped(kMemory + k2M, k4K);
	EXPECT_EQ(Status::ok, few.unmap(b, k4K));
	few.expect_empty();
}

TEST_F(MapperFailures, OtherFailuresAreNotTriedAgain)
{
	rig.faulty.fail(Call::map, 1, kBroken);
	uint64_t iova;
	EXPECT_EQ(Status::failed, rig.map(kMemory, k4K, iova));
	EXPECT_EQ(1u, rig.faulty.calls(Call::map));
}

TEST_F(MapperFailures, WithoutTablesAMapIsAgainAndASharedOneWorks)
{
	rig.no_tables = true;
	uint64_t iova;
	const Snapshot before = rig.snapshot();
	EXPECT_EQ(Status::again, rig.map(kMemory, k4K, iova));
	EXPECT_EQ(Status::again, rig.add_region(kMemory, k4K, iova));
	EXPECT_EQ(before, rig.snapshot());
	rig.no_tables = false;
	const uint64_t a = rig.mapped(kMemory, k4K);
	rig.no_tables = true;
	EXPECT_EQ(a, rig.mapped(kMemory, k4K));
	EXPECT_EQ(Status::ok, rig.unmap(a, k4K));
	EXPECT_EQ(Status::ok, rig.unmap(a, k4K)) << "unmapping needs nothing";
	rig.expect_empty();
}

TEST_F(MapperFailures, WithoutNodesAMapIsAgain)
{
	Rig few({.cached = false, .max_ranges = 1});
	std::map<uint64_t, uint64_t> all;
	uint64_t iova, va = kMemory;
	Status status;
	// Holes between them, so that each costs a key; and lengths that do not merge.
	while ((status = few.map(va, k2M, iova)) == Status::ok) {
		all[iova] = va;
		va += 2 * k2M + k4K;
	}
	EXPECT_EQ(Status::again, status);
	for (const auto &[at, memory] : all) {
		EXPECT_TRUE(few.reaches(at, memory, k2M, 3));
		EXPECT_EQ(Status::ok, few.unmap(at, k2M));
	}
	few.expect_empty();
}

// ---- the sweep ----

// What the script has mapped. After every step all of it must be as it should.
class Script {
public:
	explicit Script(bool cached) : rig({.cached = cached}) {}

	// True: the failure came. n from 1 on.
	bool run(const std::function<void(Rig &)> &break_something)
	{
		break_something(rig);
		steps();
		rig.faulty.heal();
		rig.starve(0);
		rig.tuned->valid.clear();
		while (!claims_.empty())
			unmap(claims_.begin()->first);
		for (const auto &[va, region] : std::map(regions_))
			remove_region(va);
		rig.mapper.make_room(0);
		rig.expect_empty();
		return failures != 0;
	}
	unsigned failures = 0;

private:
	struct Claim {
		uint64_t va, len;
		uint32_t dir;
	};

	// A bit of everything: sharing, shadowing, parts, padding, regions, scattered memory.
	void steps()
	{
		map(kMemory + 5, 100);
		map(kMemory + 200, 100);
		map(kMemory, 4 * k4K);
		map(kMemory + k4K, k4K, kToDevice);
		map(kMemory + k2M + k4K, 3 * k2M, kFromDevice);
		add_region(kMemory + k1G, 2 * k1G);
		map(kMemory + k1G + 5, k4K);
		remove_region(kMemory + k1G);
		refresh();
		for (uint64_t i = 1; i <= 24; ++i)
			map(kMemory + i * 600 * k1G, k4K, kBidirectional, i % 2 ? kLimit32 : kNoLimit);
		unmap_nth(0);
		unmap_nth(1);
		map(kMemory, 4 * k4K, kBidirectional, kLimit32);
		add_region(kMemory - k4K, 8 * k4K);
		unmap_nth(2);
		unmap_nth(0);
		while (claims_.size() > 8)
			unmap_nth(3);
		rig.mapper.make_room(0);
		map(kMemory + 6 * k4K, 20 * k4K);
		remove_region(kMemory - k4K);
	}

	// A step that fails leaves no trace.
	template <class Do> bool step(Do work)
	{
		const Snapshot before = rig.snapshot();
		const bool ok = work() == Status::ok;
		if (!ok) {
			++failures;
			EXPECT_EQ(before, rig.snapshot());
		}
		check();
		return ok;
	}
	void map(uint64_t va, uint64_t len, uint32_t dir = kBidirectional, uint64_t limit = kNoLimit)
	{
		uint64_t iova = 0;
		if (step([&] { return rig.map(va, len, iova, dir, limit); }))
			claims_.emplace(iova, Claim{va, len, dir});
	}
	void unmap_nth(unsigned n)
	{
		if (n < claims_.size())
			unmap(std::next(claims_.begin(), n)->first);
	}
	// One that fails has taken the mapping from its owner.
	void unmap(uint64_t iova)
	{
		const auto claim = claims_.find(iova);
		const uint64_t quarantined = rig.counted(&Counters::quarantined_bytes);
		const Status status = rig.unmap(iova, claim->second.len);
		claims_.erase(claim);
		failed_to_unmap(status, quarantined);
	}
	void failed_to_unmap(Status status, uint64_t quarantined)
	{
		EXPECT_TRUE(status == Status::ok || status == Status::failed);
		if (status == Status::failed) {
			++failures;
			EXPECT_GT(rig.counted(&Counters::quarantined_bytes), quarantined);
		}
		check();
	}
	void add_region(uint64_t va, uint64_t len)
	{
		uint64_t iova = 0;
		if (step([&] { return rig.add_region(va, len, iova); }))
			regions_.emplace(va, std::pair(iova, len));
	}
	void remove_region(uint64_t va)
	{
		const auto region = regions_.find(va);
		if (region == regions_.end())
			return;
		const uint64_t quarantined = rig.counted(&Counters::quarantined_bytes);
		const Snapshot before = rig.snapshot();
		const Status status = rig.remove_region(va, region->second.second);
		if (status == Status::busy) {
			EXPECT_EQ(before, rig.snapshot());
			return;
		}
		regions_.erase(region);
		failed_to_unmap(status, quarantined);
	}
	void refresh()
	{
		step([&] { return rig.mapper.refresh().status; });
	}
	void check()
	{
		ASSERT_TRUE(rig.verify());
		for (const auto &[iova, c] : claims_) {
			ASSERT_TRUE(rig.reaches(iova, c.va, c.len, c.dir));
			ASSERT_EQ(c.va, rig.iova2va(iova, c.len));
			// By virtual address one of several.
			const uint64_t found = rig.va2iova(c.va);
			ASSERT_NE(0u, found);
			ASSERT_EQ(c.va, rig.iova2va(found));
		}
		for (const auto &[va, region] : regions_) {
			ASSERT_TRUE(rig.reaches(region.first, va, region.second, 3));
			ASSERT_EQ(va, rig.iova2va(region.first, region.second));
		}
	}

	Rig rig;
	std::multimap<uint64_t, Claim> claims_;
	std::map<uint64_t, std::pair<uint64_t, uint64_t>> regions_;
};

// Breaks the nth call, for every n until there is none such.
void sweep(const std::function<void(Rig &, uint64_t n)> &break_nth)
{
	for (const bool cached : {false, true}) {
		uint64_t n = 0;
		bool failed;
		do {
			SCOPED_TRACE(testing::Message() << "n = " << ++n);
			Script script(cached);
			failed = script.run([&](Rig &rig) { break_nth(rig, n); });
			if (testing::Test::HasFailure())
				return;
			ASSERT_LT(n, 1000u);
		} while (failed);
		EXPECT_GT(n, 2u) << "nothing was broken at all";
	}
}

TEST(MapperSweep, NothingBroken)
{
	Script script(false);
	EXPECT_FALSE(script.run([](Rig &) {}));
}

TEST(MapperSweep, EveryMap)
{
	sweep([](Rig &rig, uint64_t n) { rig.faulty.fail(Call::map, n, kBroken); });
}

TEST(MapperSweep, EveryUnmap)
{
	sweep([](Rig &rig, uint64_t n) { rig.faulty.fail(Call::unmap, n, kBroken); });
}

TEST(MapperSweep, EveryUnmapAndTheNextTwo)
{
	sweep([](Rig &rig, uint64_t n) { rig.faulty.fail(Call::unmap, n, kBroken, 3); });
}

TEST(MapperSweep, EveryMapForLackOfMemory)
{
	sweep([](Rig &rig, uint64_t n) {
		rig.faulty.fail(Call::map, n, {Status::no_memory, ENOMEM, "none"});
		rig.faulty.fail(Call::unmap, n / 2 + 1, kBroken);
	});
}

TEST(MapperSweep, EveryInfo)
{
	for (const bool cached : {false, true}) {
		Script script(cached);
		EXPECT_TRUE(script.run([](Rig &rig) { rig.faulty.fail(Call::info, 1, kBroken); }));
	}
}

TEST(MapperSweep, EveryCallOfAnyKind)
{
	sweep([](Rig &rig, uint64_t n) { rig.faulty.fail(Call::any, n, kBroken); });
}

TEST(MapperSweep, EveryRequestForTables)
{
	sweep([](Rig &rig, uint64_t n) { rig.starve(n); });
}

// ---- random work with random failures ----

class RandomWork {
public:
	explicit RandomWork(uint64_t seed, bool cached) : random_(seed), rig_({.cached = cached}) {}

	void run(unsigned steps)
	{
		for (unsigned i = 0; i < steps; ++i) {
			if (random_.below(6) == 0)
				break_something();
			step();
			if (i % 8 == 0)
				check();
			if (testing::Test::HasFatalFailure())
				return;
		}
		rig_.faulty.heal();
		rig_.starve(0);
		while (!claims_.empty())
			unmap();
		while (!regions_.empty())
			remove_region();
		rig_.mapper.make_room(0);
		rig_.expect_empty();
	}

private:
	static constexpr uint64_t kPages = 1400;

	void break_something()
	{
		const Call kinds[] = {Call::map, Call::unmap, Call::any};
		const Outcome outcomes[] = {kBroken, {Status::no_space, ENOSPC, "full"}, {Status::no_memory, ENOMEM, "none"}};
		rig_.faulty.fail(kinds[random_.below(3)], 1 + random_.below(4), outcomes[random_.below(3)], 1 + random_.below(3));
		rig_.starve(random_.below(3));
	}
	void step()
	{
		switch (random_.below(8)) {
		case 0: case 1: case 2: case 3: map(); break;
		case 4: case 5: unmap(); break;
		case 6: random_.below(2) ? add_region() : remove_region(); break;
		default: random_.below(4) ? static_cast<void>(unmap()) : static_cast<void>(rig_.mapper.make_room(0));
		}
	}
	void memory(uint64_t &va, uint64_t &len)
	{
		// Half of it close together, some far away.
		const uint64_t base = random_.below(4) ? kMemory : kMemory + random_.below(40) * 600 * k1G;
		va = base + random_.below(kPages * k4K);
		len = 1 + random_.below(random_.below(3) ? 4 * k4K : kPages * k4K);
	}
	void map()
	{
		uint64_t va, len, iova;
		memory(va, len);
		const auto dir = static_cast<uint32_t>(1 + random_.below(3));
		const uint64_t limit = random_.below(3) ? kNoLimit : kLimit32;
		const Snapshot before = rig_.snapshot();
		if (rig_.map(va, len, iova, dir, limit) == Status::ok) {
			ASSERT_LE(iova + len - 1, limit);
			claims_.push_back({iova, va, len, dir});
		} else if (before.quarantined == 0) {  // else it may have been flushed
			ASSERT_EQ(before, rig_.snapshot());
		}
	}
	void unmap()
	{
		if (claims_.empty())
			return;
		std::swap(claims_[random_.below(claims_.size())], claims_.back());
		const Status status = rig_.unmap(claims_.back().iova, claims_.back().len);
		ASSERT_TRUE(status == Status::ok || status == Status::failed);
		claims_.pop_back();
	}
	void add_region()
	{
		uint64_t va, len, iova;
		memory(va, len);
		bool overlaps = false;
		for (const auto &r : regions_)
			overlaps |= va < r.va + r.len && r.va < va + len;
		const Status status = rig_.add_region(va, len, iova);
		ASSERT_EQ(overlaps, status == Status::exists);
		if (status == Status::ok)
			regions_.push_back({iova, va, len, 3});
	}
	void remove_region()
	{
		if (regions_.empty())
			return;
		std::swap(regions_[random_.below(regions_.size())], regions_.back());
		const Status status = rig_.remove_region(regions_.back().va, regions_.back().len);
		ASSERT_TRUE(status == Status::ok || status == Status::failed || status == Status::busy);
		if (status != Status::busy)
			regions_.pop_back();
	}
	void check()
	{
		ASSERT_TRUE(rig_.verify());
		for (const auto *list : {&claims_, &regions_}) {
			for (const auto &c : *list) {
				ASSERT_TRUE(rig_.reaches(c.iova, c.va, c.len, c.dir));
				ASSERT_EQ(c.va, rig_.iova2va(c.iova, c.len));
				const uint64_t byte = random_.below(c.len), found = rig_.va2iova(c.va + byte);
				// Unless there is no table for it.
				if (found != 0) {
					ASSERT_EQ(c.va + byte, rig_.iova2va(found));
				}
				ASSERT_TRUE(found != 0 || rig_.table.starved());
			}
		}
	}

	struct Claim {
		uint64_t iova, va, len;
		uint32_t dir;
	};
	core::Random random_;
	Rig rig_;
	std::vector<Claim> claims_, regions_;
};

TEST(MapperRandom, WorkWithFailures)
{
	for (uint64_t seed = 1; seed <= 16; ++seed) {
		SCOPED_TRACE(seed);
		RandomWork(seed, seed % 2 == 0).run(300);
		if (testing::Test::HasFailure())
			return;
	}
}

}  // namespace
}  // namespace iovad::dma
