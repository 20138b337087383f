// SPDX-License-Identifier: BSD-3-Clause
#include <cerrno>

#include "mapper_fixture.h"

namespace iovad::dma {
namespace {

using core::MappingTable;
using Counters = MappingTable::Counters;

class MapperRegions : public testing::Test {
protected:
	Rig rig;
};

TEST_F(MapperRegions, InARegionAddressesTranslateByArithmetic)
{
	uint64_t iova = 0;
	const uint64_t va = kMemory + 3 * k4K + 5, len = 10 * k2M;
	ASSERT_EQ(Status::ok, rig.add_region(va, len, iova));
	EXPECT_EQ(va % k2M, iova % k2M);
	for (const uint64_t offset : {uint64_t{0}, uint64_t{1}, k4K, k2M + 3, len - 1}) {
		EXPECT_EQ(iova + offset, rig.va2iova(va + offset));
		EXPECT_EQ(va + offset, rig.iova2va(iova + offset));
		EXPECT_EQ(iova + offset, rig.va2iova(va + offset, len - offset));
	}
	EXPECT_EQ(0u, rig.va2iova(va, len + k4K));
	EXPECT_EQ(iova + k4K, rig.mapped(va + k4K, 100)) << "maps inside share it";
	EXPECT_EQ(Status::ok, rig.unmap(iova + k4K, 100));
	EXPECT_EQ(Status::not_found, rig.unmap(iova, len)) << "a region is no map";
	EXPECT_EQ(Status::ok, rig.remove_region(va, len));
	EXPECT_TRUE(rig.faults(iova));
	rig.expect_empty();
}

TEST_F(MapperRegions, RegionsDoNotOverlap)
{
	uint64_t iova;
	ASSERT_EQ(Status::ok, rig.add_region(kMemory, 4 * k4K, iova));
	const Snapshot before = rig.snapshot();
	for (const auto &[offset, len] : std::initializer_list<std::pair<int64_t, uint64_t>>{
		     {0, 4 * k4K}, {0, 1}, {4 * static_cast<int64_t>(k4K) - 1, 1}, {-1, 2}, {-4096, 8 * k4K}, {4096, k4K}})
		EXPECT_EQ(Status::exists, rig.add_region(kMemory + static_cast<uint64_t>(offset), len, iova)) << offset;
	EXPECT_EQ(before, rig.snapshot());
	uint64_t next;
	EXPECT_EQ(Status::ok, rig.add_region(kMemory + 4 * k4K, k4K, next)) << "they may touch";
	EXPECT_EQ(Status::ok, rig.add_region(kMemory - 1, 1, next));
	EXPECT_EQ(Status::not_found, rig.remove_region(kMemory, k4K));
	EXPECT_EQ(Status::not_found, rig.remove_region(kMemory + k4K, 3 * k4K));
	EXPECT_EQ(Status::ok, rig.remove_region(kMemory, 4 * k4K));
	EXPECT_EQ(Status::not_found, rig.remove_region(kMemory, 4 * k4K));
	EXPECT_EQ(Status::ok, rig.remove_region(kMemory + 4 * k4K, k4K));
	EXPECT_EQ(Status::ok, rig.remove_region(kMemory - 1, 1));
	rig.expect_empty();
}

// Not whole granules, both in one.
TEST_F(MapperRegions, RegionsMayMeetInAGranule)
{
	uint64_t a, b;
	ASSERT_EQ(Status::ok, rig.add_region(kMemory, k4K + 100, a));
	ASSERT_EQ(Status::ok, rig.add_region(kMemory + k4K + 100, k4K, b));
	EXPECT_EQ(a, rig.va2iova(kMemory, k4K + 100));
	EXPECT_EQ(b, rig.va2iova(kMemory + k4K + 100, k4K));
	EXPECT_EQ(Status::ok, rig.remove_region(kMemory, k4K + 100));
	EXPECT_EQ(b, rig.va2iova(kMemory + k4K + 100, k4K));
	EXPECT_EQ(Status::ok, rig.remove_region(kMemory + k4K + 100, k4K));
	rig.expect_empty();
}

TEST_F(MapperRegions, ARegionIsBusyWhileBuffersInItAreMapped)
{
	uint64_t iova;
	ASSERT_EQ(Status::ok, rig.add_region(kMemory, 4 * k4K, iova));
	for (const uint64_t len : {k4K, 4 * k4K}) {
		const uint64_t buffer = rig.mapped(kMemory, len);
		EXPECT_EQ(Status::busy, rig.remove_region(kMemory, 4 * k4K));
		EXPECT_TRUE(rig.reaches(iova, kMemory, 4 * k4K, 3));
		EXPECT_EQ(Status::ok, rig.unmap(buffer, len));
	}
	EXPECT_EQ(Status::ok, rig.remove_region(kMemory, 4 * k4K));
	rig.expect_empty();
}

// Buffers that were there before do not hide what the region holds, nor keep it.
TEST_F(MapperRegions, ARegionAroundBuffersThatAreMapped)
{
	const uint64_t a = rig.mapped(kMemory, k4K), b = rig.mapped(kMemory + 3 * k4K, k4K);
	uint64_t iova;
	ASSERT_EQ(Status::ok, rig.add_region(kMemory, 4 * k4K, iova));
	EXPECT_EQ(iova, rig.va2iova(kMemory, 4 * k4K));
	EXPECT_EQ(Status::ok, rig.remove_region(kMemory, 4 * k4K));
	EXPECT_EQ(a, rig.va2iova(kMemory));
	EXPECT_EQ(b, rig.va2iova(kMemory + 3 * k4K));
	EXPECT_EQ(Status::ok, rig.unmap(a, k4K));
	EXPECT_EQ(Status::ok, rig.unmap(b, k4K));
	rig.expect_empty();
}

TEST_F(MapperRegions, ARegionThatCannotBeBroughtInIsNotAdded)
{
	rig.tuned->pins = true;
	const Snapshot before = rig.snapshot();
	uint64_t iova;
	const Outcome o = rig.mapper.add_region(at(k4K), 16 * k4K, kNoLimit, 3, iova);
	EXPECT_EQ(Status::bad_memory, o.status);
	EXPECT_NE(0, o.error);
	EXPECT_NE('\0', *o.advice);
	EXPECT_EQ(before, rig.snapshot());
	EXPECT_EQ(Status::not_found, rig.remove_region(k4K, 16 * k4K));
	EXPECT_EQ(Status::bad_memory, rig.add_region(k4K, 16 * k4K, iova)) << "and can be tried again";
	rig.tuned->pins = false;
	EXPECT_EQ(Status::ok, rig.add_region(k4K, 16 * k4K, iova));
	EXPECT_EQ(Status::ok, rig.remove_region(k4K, 16 * k4K));
}

// ---- what devices can address ----

}  // namespace
}  // namespace iovad::dma
