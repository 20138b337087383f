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

}  // namespace
}  // namespace iovad::dma
