// SPDX-License-Identifier: BSD-3-Clause
// What mapping promises: see iovad_dma.h. With failures: mapper_failures_test.cpp.
#include <cerrno>

#include "mapper_fixture.h"

namespace iovad::dma {
namespace {

using core::MappingTable;
using Counters = MappingTable::Counters;

class MapperTest : public testing::Test {
protected:
	Rig rig;
};

TEST_F(MapperTest, KeepsTheOffsetInTheGranuleForAnyLength)
{
	const uint64_t lengths[] = {1, 2, 63, k4K - 1, k4K, k4K + 1, 3 * k4K, 64 * k4K - 5, 64 * k4K, 65 * k4K + 1, k2M - 1, k2M, k2M + 1,
				    5 * k2M + 17};
	uint64_t va = kMemory;
	for (const uint64_t len : lengths) {
		for (const uint64_t offset : {uint64_t{0}, uint64_t{1}, uint64_t{2049}, k4K - 1}) {
			SCOPED_TRACE(len);
			va += 16 * k2M;
			const uint64_t iova = rig.mapped(va + offset, len);
			EXPECT_EQ(offset, iova % k4K);
			const uint64_t first = iova - offset, end = (iova + len + k4K - 1) & ~(k4K - 1);
			EXPECT_EQ(end - first, rig.soft->stats().mapped_bytes);
			EXPECT_EQ(va + offset, rig.iova2va(iova, len));
			EXPECT_EQ(iova, rig.va2iova(va + offset, len));
			EXPECT_EQ(0u, rig.iova2va(end));
			EXPECT_TRUE(rig.faults(end));
			EXPECT_EQ(Status::ok, rig.unmap(iova, len));
			EXPECT_TRUE(rig.faults(iova));
			EXPECT_EQ(0u, rig.iova2va(iova));
			EXPECT_EQ(0u, rig.va2iova(va + offset));
			rig.expect_empty();
		}
	}
}

TEST_F(MapperTest, DevicesMayDoOnlyWhatWasAsked)
{
	for (const uint32_t dir : {1u, 2u, 3u}) {
		const uint64_t iova = rig.mapped(kMemory, k4K, dir);
		EXPECT_EQ((dir & 1) != 0, static_cast<bool>(rig.soft->translate(iova, 1, Access::read)));
		EXPECT_EQ((dir & 2) != 0, static_cast<bool>(rig.soft->translate(iova, 1, Access::write)));
		EXPECT_EQ(Status::ok, rig.unmap(iova, k4K));
	}
}

TEST_F(MapperTest, BadInputIsRefusedAndChangesNothing)
{
	const Snapshot before = rig.snapshot();
	constexpr uint64_t kEnd = uint64_t{1} << 48;
	uint64_t iova = 77;
	const auto refused = [&](uint64_t va, uint64_t len, uint32_t dir = 3, uint64_t limit = kNoLimit) {
		EXPECT_EQ(Status::invalid, rig.map(va, len, iova, dir, limit)) << va << ' ' << len;
		EXPECT_EQ(Status::invalid, rig.add_region(va, len, iova, dir, limit)) << va << ' ' << len;
	};
	refused(0, k4K);
	refused(kMemory, 0);
	refused(kEnd, 1);
	refused(kEnd - k4K, k4K + 1);
	refused(kEnd - 1, 2);
	refused(~uint64_t{0}, 1);
	refused(kMemory, ~uint64_t{0});
	refused(kMemory, ~uint64_t{0} - kMemory + 2);
	for (const uint32_t dir : {0u, 4u, 7u, ~0u})
		refused(kMemory, k4K, dir);
	for (const uint64_t limit : {uint64_t{0}, uint64_t{1}, k4K - 1})
		refused(kMemory, k4K, 3, limit);
	EXPECT_EQ(77u, iova);
	EXPECT_EQ(Status::invalid, rig.unmap(k4K, 0));
	EXPECT_EQ(Status::invalid, rig.unmap(~uint64_t{0}, 2));
	EXPECT_EQ(Status::invalid, rig.unmap(k4K, ~uint64_t{0} - k4K + 2));
	EXPECT_EQ(Status::not_found, rig.unmap(k4K, ~uint64_t{0} - k4K + 1)) << "to the last of all addresses";
	EXPECT_EQ(Status::not_found, rig.unmap(~uint64_t{0} - k4K + 1, k4K));
	EXPECT_EQ(Status::not_found, rig.unmap(k4K, 1));
	EXPECT_EQ(Status::not_found, rig.unmap(0, 1));
	EXPECT_EQ(Status::not_found, rig.unmap(uint64_t{1} << 50, k4K));
	EXPECT_EQ(Status::not_found, rig.remove_region(kMemory, k4K));
	EXPECT_EQ(before, rig.snapshot());
}

TEST_F(MapperTest, TheLastPageOfAllMemory)
{
	const uint64_t last = (uint64_t{1} << 48) - 1;
	const uint64_t iova = rig.mapped(last, 1);
	EXPECT_EQ(iova, rig.va2iova(last));
	EXPECT_EQ(Status::ok, rig.unmap(iova, 1));
	rig.expect_empty();
}

TEST_F(MapperTest, NoRoomIsNoSpaceWhateverTheReason)
{
	Rig small({.last = 64 * k4K - 1});
	uint64_t iova;
	EXPECT_EQ(Status::no_space, small.map(kMemory, 64 * k4K, iova)) << "longer than the domain";
	EXPECT_EQ(Status::no_space, small.map(kMemory, 4 * k2M, iova));
	EXPECT_EQ(Status::no_space, small.map(kMemory, uint64_t{1} << 46, iova));
	EXPECT_EQ(Status::no_space, small.map(kMemory, 2 * k4K, iova, 3, 2 * k4K - 1)) << "under the limit";
	std::vector<uint64_t> all;
	while (small.map(kMemory + 2 * all.size() * k4K, k4K, iova) == Status::ok)
		all.push_back(iova);
	EXPECT_EQ(63u, all.size());
	EXPECT_EQ(Status::no_space, small.map(kMemory - k4K, k4K, iova));
	for (const uint64_t each : all)
		EXPECT_EQ(Status::ok, small.unmap(each, k4K));
	small.expect_empty();
}

TEST_F(MapperTest, RecordsThatRunOutAreAgain)
{
	Rig few({.records = 2});
	uint64_t iova;
	const uint64_t a = few.mapped(kMemory, k4K), b = few.mapped(kMemory + k2M, k4K);
	const Outcome o = few.mapper.map(0, at(kMemory + 2 * k2M), k4K, kNoLimit, 3, iova);
	EXPECT_EQ(Status::again, o.status);
	EXPECT_NE('\0', *o.advice);
	EXPECT_EQ(a + 1, few.mapped(kMemory + 1, 1)) << "what is shared needs none";
	EXPECT_EQ(Status::ok, few.unmap(a, 1));
	EXPECT_EQ(Status::ok, few.unmap(a, k4K));
	EXPECT_EQ(Status::ok, few.unmap(b, k4K));
	few.expect_empty();
}

// ---- sharing ----

TEST_F(MapperTest, SharesThePageWithWhatIsInIt)
{
	const uint64_t a = rig.mapped(kMemory + 100, 50), b = rig.mapped(kMemory + 200, 50);
	EXPECT_EQ(a + 100, b);
	EXPECT_EQ(1u, rig.soft->stats().mappings);
	EXPECT_EQ(1u, rig.counted(&Counters::shared));
	EXPECT_EQ(1u, rig.counted(&Counters::maps));
	EXPECT_EQ(Status::ok, rig.unmap(a, 50));
	EXPECT_TRUE(rig.reaches(b, kMemory + 200, 50, 3));
	EXPECT_EQ(0u, rig.counted(&Counters::unmaps));
	EXPECT_EQ(Status::ok, rig.unmap(b, 50));
	EXPECT_EQ(1u, rig.counted(&Counters::unmaps));
	rig.expect_empty();
}

// Its pages may come again as other memory, which must not find the old translation.
TEST_F(MapperTest, WhatABufferInsideAnotherKeepsIsItsOwn)
{
	const uint64_t all = rig.mapped(kMemory, 8 * k4K), part = rig.mapped(kMemory + 3 * k4K + 7, k4K);
	EXPECT_EQ(2u, rig.soft->stats().mappings);
	EXPECT_EQ(Status::ok, rig.unmap(all, 8 * k4K));
	EXPECT_FALSE(rig.soft->translate(all, 8 * k4K, Access::read));
	EXPECT_TRUE(rig.reaches(part, kMemory + 3 * k4K + 7, k4K, 3));
	EXPECT_EQ(Status::not_found, rig.unmap(all, 8 * k4K));
	EXPECT_EQ(Status::ok, rig.unmap(part, k4K));
	rig.expect_empty();
}

TEST_F(MapperTest, ARegionIsSharedByWhatItHolds)
{
	uint64_t region;
	ASSERT_TRUE(rig.mapper.add_region(at(kMemory), 8 * k4K, kNoLimit, 3, region).ok());
	const uint64_t part = rig.mapped(kMemory + 3 * k4K + 7, k4K, kToDevice);
	EXPECT_EQ(region + 3 * k4K + 7, part);
	EXPECT_EQ(1u, rig.soft->stats().mappings);
	EXPECT_EQ(Status::busy, rig.mapper.remove_region(at(kMemory), 8 * k4K).status);
	EXPECT_EQ(Status::ok, rig.unmap(part, k4K));
	EXPECT_TRUE(rig.mapper.remove_region(at(kMemory), 8 * k4K).ok());
	rig.expect_empty();
}

TEST_F(MapperTest, OtherRightsALowerLimitOrMoreMemoryAreNotShared)
{
	const uint64_t a = rig.mapped(kMemory, k4K, kToDevice);
	ASSERT_GT(a, kLimit32);
	const uint64_t b = rig.mapped(kMemory, k4K, kFromDevice), c = rig.mapped(kMemory, k4K, kToDevice, kLimit32);
	const uint64_t d = rig.mapped(kMemory, k4K + 1, kToDevice);
	EXPECT_EQ(4u, rig.soft->stats().mappings);
	EXPECT_FALSE(rig.soft->translate(a, 1, Access::write)) << "rights do not grow";
	EXPECT_EQ(0u, rig.counted(&Counters::shared));
	// Each is its own.
	EXPECT_EQ(Status::ok, rig.unmap(b, k4K));
	EXPECT_EQ(Status::ok, rig.unmap(a, k4K));
	EXPECT_NE(0u, rig.va2iova(kMemory));
	EXPECT_EQ(Status::ok, rig.unmap(d, k4K + 1));
	EXPECT_EQ(c, rig.va2iova(kMemory));
	EXPECT_EQ(Status::ok, rig.unmap(c, k4K));
	rig.expect_empty();
}

TEST_F(MapperTest, EachMapWantsItsUnmap)
{
	constexpr unsigned kTimes = 300;
	uint64_t iova = 0;
	for (unsigned i = 0; i < kTimes; ++i)
		iova = rig.mapped(kMemory, 2 * k4K);
	for (unsigned i = 0; i < kTimes; ++i) {
		ASSERT_TRUE(rig.reaches(iova, kMemory, 2 * k4K, 3));
		ASSERT_EQ(Status::ok, rig.unmap(iova, 2 * k4K));
	}
	EXPECT_TRUE(rig.faults(iova));
	rig.expect_empty();
}

TEST_F(MapperTest, UnmappingTwiceOrAnotherLengthIsNotFoundAndChangesNothing)
{
	const uint64_t iova = rig.mapped(kMemory + 5, 3 * k4K);  // four granules
	const Snapshot before = rig.snapshot();
	for (const uint64_t len : {uint64_t{1}, k4K, 2 * k4K, 4 * k4K, 8 * k4K})
		EXPECT_EQ(Status::not_found, rig.unmap(iova, len)) << len;
	EXPECT_EQ(Status::not_found, rig.unmap(iova + k4K, k4K));
	EXPECT_EQ(Status::not_found, rig.unmap(iova - k4K, 4 * k4K));
	EXPECT_EQ(before, rig.snapshot());
	EXPECT_TRUE(rig.reaches(iova, kMemory + 5, 3 * k4K, 3));
	EXPECT_EQ(Status::ok, rig.unmap(iova, 3 * k4K));
	const Snapshot after = rig.snapshot();
	EXPECT_EQ(Status::not_found, rig.unmap(iova, 3 * k4K));
	EXPECT_EQ(after, rig.snapshot());
}

TEST_F(MapperTest, APartIsUnmappedAsOftenAsItWasMapped)
{
	const uint64_t all = rig.mapped(kMemory, 4 * k4K), part = rig.mapped(kMemory + k4K, k4K);
	EXPECT_EQ(Status::ok, rig.unmap(part, k4K));
	EXPECT_EQ(Status::not_found, rig.unmap(part, k4K));
	EXPECT_TRUE(rig.reaches(all, kMemory, 4 * k4K, 3));
	EXPECT_EQ(Status::ok, rig.unmap(all, 4 * k4K));
	rig.expect_empty();
}

// ---- where ----

TEST_F(MapperTest, LargeMemoryIsCongruentAndUsesLargePages)
{
	struct Case {
		uint64_t offset, len, pages_2m, pages_1g;
	};
	const Case cases[] = {
		{0, k2M, 1, 0},       {0, 4 * k2M, 4, 0},           {k4K, 4 * k2M, 3, 0},         {k2M - k4K, k2M + 2 * k4K, 1, 0},
		{17 * k4K, k2M, 0, 0}, {k2M - 1, 3 * k2M, 3, 0},     {0, k1G, 0, 1},               {0, 2 * k1G + k2M + k4K, 1, 2},
		{k2M, k1G, 512, 0},    {k4K, k1G + k2M, 512, 0},
	};
	for (const Case &c : cases) {
		SCOPED_TRACE(testing::Message() << std::hex << c.offset << ' ' << c.len);
		const uint64_t iova = rig.mapped(kMemory + c.offset, c.len);
		EXPECT_EQ(c.offset % k2M, iova % k2M);
		EXPECT_EQ(c.pages_2m, rig.soft->stats().leaves_2m);
		EXPECT_EQ(c.pages_1g, rig.soft->stats().leaves_1g);
		EXPECT_EQ(Status::ok, rig.unmap(iova, c.len));
		rig.expect_empty();
	}
}

TEST_F(MapperTest, LargePagesThatTheBackendLacksDoNotMatter)
{
	RigConfig config;
	config.soft.page_sizes = k4K;
	Rig plain(config);
	const uint64_t iova = plain.mapped(kMemory + k4K, 4 * k2M);
	EXPECT_EQ(4 * k2M / k4K, plain.soft->stats().leaves_4k);
	const core::Extent e = plain.domain.find(iova);
	EXPECT_EQ(4 * k2M / k4K, e.end - e.start) << "no padding";
	EXPECT_EQ(Status::ok, plain.unmap(iova, 4 * k2M));
	plain.expect_empty();
}

TEST_F(MapperTest, WhereNoLargePageFitsSmallerOnesDo)
{
	// Room for the memory, not for its padding.
	Rig tight({.first = k1G, .granule = k4K});
	Rig small({.last = k1G + 3 * k2M + 8 * k4K - 1, .first = k1G + k4K});
	const uint64_t iova = small.mapped(kMemory + 3 * k4K, 3 * k2M);
	EXPECT_EQ(Status::ok, small.unmap(iova, 3 * k2M));
	small.expect_empty();
	// 2 MiB pages where a 1 GiB one does not fit.
	Rig middle({.last = 2 * k1G + k2M - 1, .first = k2M});
	uint64_t first = 0;
	ASSERT_EQ(Status::ok, middle.domain.alloc_range(k4K, k4K, k1G + k4K - 1, first));
	const uint64_t large = middle.mapped(kMemory, k1G - 2 * k2M);
	EXPECT_EQ(510u, middle.soft->stats().leaves_2m);
	EXPECT_EQ(Status::ok, middle.unmap(large, k1G - 2 * k2M));
	EXPECT_EQ(Status::ok, middle.domain.free_range(first, k4K));
	middle.expect_empty();
}

TEST_F(MapperTest, GranulesOf2MiB)
{
	Rig large({.granule = k2M});
	const uint64_t a = large.mapped(kMemory + k4K + 5, 10), b = large.mapped(kMemory + k1G, k1G);
	EXPECT_EQ(k4K + 5, a % k2M);
	EXPECT_EQ(0u, b % k1G);
	EXPECT_EQ(1u, large.soft->stats().leaves_1g);
	EXPECT_EQ(1u, large.soft->stats().leaves_2m);
	EXPECT_EQ(Status::ok, large.unmap(a, 10));
	EXPECT_EQ(Status::ok, large.unmap(b, k1G));
	large.expect_empty();
}

TEST_F(MapperTest, LimitsAreKeptInAWideWindow)
{
	const uint64_t limits[] = {16 * k2M - 1, k1G - 1, kLimit32, kLimit32 + k4K, (uint64_t{1} << 39) - 1};
	for (const uint64_t limit : limits) {
		for (const uint64_t len : {uint64_t{1}, 3 * k4K, 65 * k4K, 3 * k2M}) {
			const uint64_t iova = rig.mapped(kMemory + 5, len, 3, limit);
			EXPECT_LE(iova + len - 1, limit);
			EXPECT_EQ(Status::ok, rig.unmap(iova, len));
		}
	}
	// To the byte: the granule has to lie below as well.
	uint64_t iova;
	EXPECT_EQ(Status::no_space, rig.map(kMemory, 1, iova, 3, 2 * k4K - 2));
	EXPECT_EQ(k4K, rig.mapped(kMemory, 1, 3, 2 * k4K - 1));
	EXPECT_EQ(Status::ok, rig.unmap(k4K, 1));
	rig.expect_empty();
}

TEST_F(MapperTest, NothingLiesInWhatTheBackendReserves)
{
	Rig low({.last = 0xfee01000 + 0x100000 - 1 + k4K, .first = 0xfedff000, .cached = false});
	uint64_t iova;
	std::vector<uint64_t> all;
	while (low.map(kMemory + 2 * k4K * all.size(), k4K, iova) == Status::ok)
		all.push_back(iova);
	EXPECT_EQ(3u, all.size()) << "a page below, two above";
	for (const uint64_t each : all)
		EXPECT_EQ(Status::ok, low.unmap(each, k4K));
}

// ---- regions ----

}  // namespace
}  // namespace iovad::dma
