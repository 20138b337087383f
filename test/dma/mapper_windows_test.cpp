// SPDX-License-Identifier: BSD-3-Clause
// Regions at addresses that their owner keeps.
#include <cerrno>

#include "mapper_fixture.h"

namespace iovad::dma {
namespace {

using Counters = core::MappingTable::Counters;

class MapperWindows : public testing::Test {
protected:
	static constexpr uint64_t kWindow = 8 * k2M;

	MapperWindows() { EXPECT_EQ(Status::ok, rig.domain.alloc_range(kWindow, k2M, kNoLimit, window)); }
	~MapperWindows() override
	{
		EXPECT_EQ(Status::ok, rig.domain.free_range(window, kWindow));
		rig.expect_empty();
	}
	uint64_t chunk(unsigned i) const { return window + i * k2M; }
	static uint64_t memory(unsigned i) { return kMemory + 3 * i * k2M; }
	Status add(unsigned i) { return rig.mapper.add_in_window(chunk(i), at(memory(i)), k2M, kBidirectional).status; }
	Status remove(unsigned i) { return rig.mapper.remove_from_window(chunk(i)).status; }

	Rig rig{{.cached = false}};
	uint64_t window = 0;
};

TEST_F(MapperWindows, ARegionIsWhereItsOwnerWantsItAndTheAddressStaysTheirs)
{
	const Snapshot before = rig.snapshot();
	for (const unsigned i : {5, 0, 7, 6})
		ASSERT_EQ(Status::ok, add(i));
	EXPECT_TRUE(rig.verify());
	for (const unsigned i : {5, 0, 7, 6}) {
		EXPECT_TRUE(rig.reaches(chunk(i), memory(i), k2M, kBidirectional));
		EXPECT_EQ(memory(i) + 5, rig.iova2va(chunk(i) + 5, 100));
		EXPECT_EQ(chunk(i) + 5, rig.va2iova(memory(i) + 5, 100));
	}
	EXPECT_TRUE(rig.faults(chunk(1)));
	EXPECT_EQ(4u, rig.soft->stats().leaves_2m);
	EXPECT_EQ(1u, rig.domain.stats().live_ranges);
	for (const unsigned i : {5, 0, 7, 6}) {
		EXPECT_EQ(Status::ok, remove(i));
		EXPECT_TRUE(rig.faults(chunk(i)));
		EXPECT_EQ(0u, rig.va2iova(memory(i)));
		EXPECT_TRUE(rig.mapper.gone(chunk(i)));
		EXPECT_EQ(Status::exists, rig.domain.reserve(chunk(i), k2M)) << "still the owner's";
	}
	EXPECT_EQ(before, rig.snapshot());
	EXPECT_EQ(Status::ok, add(5)) << "again";
	EXPECT_EQ(Status::ok, remove(5));
}

TEST_F(MapperWindows, WhatIsNoWindowIsRefused)
{
	const uint64_t mapped = rig.mapped(kMemory + 100 * k2M, k2M);
	const Snapshot before = rig.snapshot();
	const auto add_at = [&](uint64_t iova, uint64_t va, uint64_t len) {
		return rig.mapper.add_in_window(iova, at(va), len, kBidirectional).status;
	};
	EXPECT_EQ(Status::invalid, add_at(window + kWindow, kMemory, k2M)) << "free, or another's";
	EXPECT_EQ(Status::invalid, add_at(chunk(7), kMemory, 2 * k2M)) << "beyond the end";
	EXPECT_EQ(Status::invalid, add_at(chunk(7) + 1, kMemory, k2M));
	EXPECT_EQ(Status::invalid, add_at(chunk(7), kMemory + 1, k2M));
	EXPECT_EQ(Status::invalid, add_at(chunk(7), kMemory, k2M - 1));
	EXPECT_EQ(Status::invalid, add_at(chunk(7), kMemory, 0));
	EXPECT_EQ(Status::invalid, add_at(0, kMemory, k4K));
	EXPECT_EQ(Status::exists, add_at(mapped, kMemory, k2M)) << "mapped already";
	EXPECT_EQ(Status::not_found, rig.mapper.remove_from_window(mapped).status);
	EXPECT_EQ(Status::not_found, remove(0));
	EXPECT_EQ(before, rig.snapshot());
	ASSERT_EQ(Status::ok, add(3));
	EXPECT_EQ(Status::exists, add(3));
	EXPECT_EQ(Status::not_found, rig.mapper.remove_from_window(chunk(3) + k4K).status) << "not its first byte";
	EXPECT_EQ(Status::not_found, rig.remove_region(memory(3), k2M)) << "nor by its memory";
	EXPECT_EQ(Status::not_found, rig.unmap(chunk(3), k2M)) << "nor as a buffer";
	EXPECT_EQ(Status::ok, remove(3));
	EXPECT_EQ(Status::not_found, remove(3));
	EXPECT_EQ(Status::ok, rig.unmap(mapped, k2M));
}

TEST_F(MapperWindows, WhatCachesHandOutIsNoWindow)
{
	Rig cached;
	uint64_t block = 0;
	ASSERT_EQ(Status::ok, cached.domain.alloc(0, k4K, kNoLimit, block));
	EXPECT_EQ(Status::invalid, cached.mapper.add_in_window(block, at(kMemory), k4K, kBidirectional).status);
	EXPECT_EQ(Status::ok, cached.domain.free(0, block, k4K));
}

TEST_F(MapperWindows, BusyWhileABufferInItIsMapped)
{
	ASSERT_EQ(Status::ok, add(2));
	const uint64_t buffer = rig.mapped(memory(2) + k4K, k4K);
	EXPECT_EQ(chunk(2) + k4K, buffer) << "shared";
	EXPECT_EQ(Status::busy, remove(2));
	EXPECT_TRUE(rig.reaches(chunk(2), memory(2), k2M, kBidirectional));
	EXPECT_EQ(Status::ok, rig.unmap(buffer, k4K));
	EXPECT_EQ(Status::ok, remove(2));
}

// Neighbours that were unmapped lazily go in runs; what a window holds is none of their business.
TEST_F(MapperWindows, AFailedUnmapQuarantinesAndTheAddressStaysTheOwners)
{
	for (const unsigned i : {3, 4})
		ASSERT_EQ(Status::ok, add(i));
	rig.faulty.fail(Call::unmap, 1, kBroken, 2);
	EXPECT_EQ(Status::failed, remove(3));
	EXPECT_FALSE(rig.mapper.gone(chunk(3)));
	EXPECT_EQ(0u, rig.iova2va(chunk(3))) << "nobody finds it";
	EXPECT_TRUE(rig.reaches(chunk(3), memory(3), k2M, kBidirectional)) << "devices do";
	EXPECT_EQ(k2M, rig.counted(&Counters::quarantined_bytes));
	EXPECT_EQ(Status::not_found, remove(3));
	EXPECT_FALSE(rig.mapper.make_room(0)) << "fails as well";
	EXPECT_FALSE(rig.mapper.gone(chunk(3)));
	EXPECT_TRUE(rig.mapper.make_room(0));
	EXPECT_TRUE(rig.mapper.gone(chunk(3)));
	EXPECT_TRUE(rig.faults(chunk(3)));
	EXPECT_EQ(1u, rig.domain.stats().live_ranges) << "the window";
	EXPECT_EQ(Status::ok, add(3));
	EXPECT_TRUE(rig.verify());
	EXPECT_EQ(Status::ok, remove(3));
	EXPECT_EQ(Status::ok, remove(4));
}

// Each thing that can fail: nothing changed then.
TEST_F(MapperWindows, AnAddThatFailsLeavesNothing)
{
	const Snapshot before = rig.snapshot();
	rig.no_tables = true;
	EXPECT_EQ(Status::again, add(1));
	EXPECT_EQ(before, rig.snapshot());
	rig.no_tables = false;
	rig.faulty.fail(Call::map, 1, kBroken);
	EXPECT_EQ(Status::failed, add(1));
	EXPECT_EQ(before, rig.snapshot());
	rig.tuned->pins = true;
	EXPECT_EQ(Status::bad_memory, rig.mapper.add_in_window(chunk(1), at(k4K), k4K, kBidirectional).status);
	rig.tuned->pins = false;
	EXPECT_EQ(before, rig.snapshot());
	EXPECT_EQ(Status::ok, add(1));
	EXPECT_EQ(Status::ok, remove(1));
}

TEST_F(MapperWindows, AtALimitOfTheBackendWhatIsQuarantinedGoesFirst)
{
	RigConfig config{.cached = false};
	config.soft.max_mappings = 1;
	Rig few(config);
	uint64_t range = 0;
	ASSERT_EQ(Status::ok, few.domain.alloc_range(2 * k2M, k2M, kNoLimit, range));
	const uint64_t buffer = few.mapped(kMemory, k4K);
	EXPECT_EQ(Status::no_space, few.mapper.add_in_window(range, at(kMemory), k2M, kBidirectional).status);
	few.faulty.fail(Call::unmap, 1, kBroken);
	EXPECT_EQ(Status::failed, few.unmap(buffer, k4K));
	EXPECT_EQ(Status::ok, few.mapper.add_in_window(range, at(kMemory), k2M, kBidirectional).status);
	EXPECT_EQ(Status::ok, few.mapper.remove_from_window(range).status);
	EXPECT_EQ(Status::ok, few.domain.free_range(range, 2 * k2M));
	few.expect_empty();
}

}  // namespace
}  // namespace iovad::dma
