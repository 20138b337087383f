// SPDX-License-Identifier: BSD-3-Clause
// Chunks that come and go: growth, what is on standby, what is transient; and lack of nodes.
#include <gtest/gtest.h>

#include <algorithm>

#include "bounce_fixture.h"

namespace iovad::core {
namespace {

constexpr uint32_t kTo = kBounceToDevice;

class BounceChunksTest : public testing::Test {
protected:
	void TearDown() override { EXPECT_TRUE(pool_.slots.verify(stderr)); }

	BounceStatus map(uint64_t len, uint64_t &iova, unsigned lcore = 0)
	{
		return pool_.slots.map(lcore, buffer_.data(), len, 0, kTo, iova);
	}
	BounceStatus unmap(uint64_t iova, uint64_t len) { return pool_.slots.unmap(0, iova, len, kTo, 0); }

	OwnedBounce pool_{OwnedBounce::config(4)};
	BounceSlots &slots_ = pool_.slots;
	std::vector<std::byte> buffer_ = std::vector<std::byte>(8 << 20, std::byte{1});
};

TEST_F(BounceChunksTest, BeginsWithoutMemory)
{
	uint64_t iova;
	EXPECT_EQ(map(1, iova), BounceStatus::again);
	EXPECT_EQ(slots_.stats().size_bytes, 0u);
	EXPECT_EQ(slots_.out_bytes(), 0u);
	for (unsigned i = 0; i < 4; ++i)
		EXPECT_EQ(slots_.chunk_state(i), ChunkState::absent);
}

TEST_F(BounceChunksTest, RefusesWhatMakesNoSense)
{
	EXPECT_EQ(slots_.add_chunk(4, buffer_.data(), nullptr, ChunkState::serving), Status::invalid);
	EXPECT_EQ(slots_.add_chunk(0, buffer_.data(), nullptr, ChunkState::serving), Status::invalid) << "no records";
	EXPECT_EQ(slots_.add_chunk(0, buffer_.data(), buffer_.data(), ChunkState::absent), Status::invalid);
	EXPECT_EQ(pool_.add(3), Status::ok);
	EXPECT_EQ(pool_.add(3), Status::exists);
	EXPECT_EQ(slots_.add_chunk(3, buffer_.data(), buffer_.data(), ChunkState::serving), Status::invalid) << "it has records";
	EXPECT_EQ(slots_.remove_chunk(0), Status::not_found);
	EXPECT_EQ(slots_.remove_chunk(4), Status::invalid);
	EXPECT_EQ(slots_.serve_chunk(0), Status::not_found);
	EXPECT_EQ(slots_.serve_chunk(3), Status::not_found) << "it serves";
	EXPECT_EQ(slots_.serve_chunk(4), Status::invalid);
}

TEST_F(BounceChunksTest, GoesOnlyWhenNothingIsMapped)
{
	ASSERT_EQ(pool_.add(3), Status::ok);
	EXPECT_EQ(slots_.chunk_use(3), ChunkUse::free);
	for (uint64_t len : {kChunkBytes, uint64_t{64}, uint64_t{100000}}) {
		uint64_t iova;
		ASSERT_EQ(map(len, iova), BounceStatus::ok);
		EXPECT_EQ(slots_.chunk_use(3), ChunkUse::busy);
		EXPECT_EQ(pool_.remove(3), Status::busy);
		EXPECT_TRUE(slots_.verify(stderr));
		EXPECT_EQ(unmap(iova, len), BounceStatus::ok);
		// In a cache, but for what is too long.
		EXPECT_EQ(slots_.chunk_use(3), len == kChunkBytes ? ChunkUse::free : ChunkUse::idle);
	}
	EXPECT_EQ(pool_.remove(3), Status::ok);
	EXPECT_EQ(slots_.chunk_state(3), ChunkState::absent);
	EXPECT_EQ(slots_.chunk_va(3), nullptr);
	uint64_t iova;
	EXPECT_EQ(map(1, iova), BounceStatus::again);
	ASSERT_EQ(pool_.add(3), Status::ok) << "with the records that it had";
	EXPECT_EQ(map(1, iova), BounceStatus::ok);
	EXPECT_TRUE(pool_.padding_is_zero(iova, 1)) << "though the memory was not";
	EXPECT_EQ(unmap(iova, 1), BounceStatus::ok);
}

TEST_F(BounceChunksTest, LongSlotsHoldAllTheirChunks)
{
	for (unsigned i = 0; i < 4; ++i)
		ASSERT_EQ(pool_.add(i), Status::ok);
	uint64_t iova;
	ASSERT_EQ(map(5 << 20, iova), BounceStatus::ok);
	EXPECT_EQ(iova, slots_.chunk_iova(1));
	EXPECT_EQ(slots_.chunk_use(0), ChunkUse::free);
	for (unsigned i = 1; i < 4; ++i)
		EXPECT_EQ(pool_.remove(i), Status::busy);
	EXPECT_EQ(pool_.remove(0), Status::ok);
	EXPECT_EQ(unmap(iova, 5 << 20), BounceStatus::ok);
	for (unsigned i = 1; i < 4; ++i)
		EXPECT_EQ(pool_.remove(i), Status::ok);
	EXPECT_EQ(unmap(iova, 5 << 20), BounceStatus::already) << "the memory is gone, the records are not";
}

TEST_F(BounceChunksTest, AMissTakesWhatIsOnStandby)
{
	ASSERT_EQ(pool_.add(3), Status::ok);
	ASSERT_EQ(pool_.add(1, ChunkState::standby), Status::ok);
	EXPECT_EQ(slots_.stats().standby_bytes, kChunkBytes);
	EXPECT_EQ(slots_.stats().size_bytes, kChunkBytes);
	EXPECT_TRUE(slots_.verify(stderr));
	uint64_t first, second, third;
	ASSERT_EQ(map(kChunkBytes, first), BounceStatus::ok);
	EXPECT_EQ(slots_.chunk_state(1), ChunkState::standby) << "no miss yet";
	ASSERT_EQ(map(64, second), BounceStatus::ok);
	EXPECT_EQ(slots_.chunk_state(1), ChunkState::transient);
	BounceStats s = slots_.stats();
	EXPECT_EQ(s.transient_bytes, kChunkBytes);
	EXPECT_EQ(s.size_bytes, 2 * kChunkBytes);
	EXPECT_EQ(s.standby_bytes, 0u);
	EXPECT_EQ(s.misses, 1u);
	EXPECT_EQ(s.refused, 0u);
	EXPECT_EQ(map(kChunkBytes, third), BounceStatus::again) << "nothing is on standby any more";
	EXPECT_TRUE(slots_.verify(stderr));
	EXPECT_EQ(pool_.remove(1), Status::busy);
	EXPECT_EQ(slots_.serve_chunk(1), Status::ok) << "it stays";
	EXPECT_EQ(slots_.stats().transient_bytes, 0u);
	EXPECT_EQ(unmap(second, 64), BounceStatus::ok);
	EXPECT_EQ(unmap(first, kChunkBytes), BounceStatus::ok);
	EXPECT_EQ(pool_.remove(1), Status::ok);
}

TEST_F(BounceChunksTest, WhatStandsByComesBeforeAReclaim)
{
	ASSERT_EQ(pool_.add(3), Status::ok);
	ASSERT_EQ(pool_.add(1, ChunkState::standby), Status::ok);
	std::vector<uint64_t> mapped(kChunkGranules);
	for (uint64_t &iova : mapped)
		ASSERT_EQ(map(64, iova), BounceStatus::ok);
	ASSERT_EQ(slots_.unmap(1, mapped.back(), 64, kTo, 0), BounceStatus::ok);
	ASSERT_EQ(map(64, mapped.back()), BounceStatus::ok) << "though lcore 1 has one in its cache";
	EXPECT_EQ(slots_.chunk_state(1), ChunkState::transient);
	EXPECT_EQ(slots_.stats().misses, 1u);
	EXPECT_EQ(slots_.domain().stats().reclaims, 0u);
	for (uint64_t iova : mapped)
		EXPECT_EQ(unmap(iova, 64), BounceStatus::ok);
}

TEST_F(BounceChunksTest, AFullPoolRefusesWithoutAReclaimEachTime)
{
	ASSERT_EQ(pool_.add(3), Status::ok);
	std::vector<uint64_t> mapped(kChunkGranules);
	for (uint64_t &iova : mapped)
		ASSERT_EQ(map(64, iova), BounceStatus::ok);
	uint64_t iova;
	for (unsigned i = 0; i < 1000; ++i) {
		const unsigned lcore = i % 6 == 5 ? kNoLcore : i % 6;
		ASSERT_EQ(map(uint64_t{1} << i % 20, iova, lcore), BounceStatus::again);
	}
	EXPECT_EQ(slots_.stats().refused, 1000u);
	EXPECT_LE(slots_.domain().stats().reclaims, 1u) << "for the magazines that it took to get here";
	for (uint64_t each : mapped)
		EXPECT_EQ(unmap(each, 64), BounceStatus::ok);
}

// What another lcore's cache holds is had, by the one reclaim that it takes, and is no miss.
TEST_F(BounceChunksTest, WithoutOneOnStandbyAReclaimServes)
{
	ASSERT_EQ(pool_.add(3), Status::ok);
	std::vector<uint64_t> mapped(kChunkGranules);
	for (uint64_t &iova : mapped)
		ASSERT_EQ(map(64, iova), BounceStatus::ok);
	ASSERT_EQ(slots_.unmap(1, mapped.back(), 64, kTo, 0), BounceStatus::ok);
	ASSERT_EQ(map(64, mapped.back()), BounceStatus::ok);
	EXPECT_EQ(slots_.stats().misses, 0u);
	EXPECT_EQ(slots_.domain().stats().reclaims, 1u);
	for (uint64_t iova : mapped)
		EXPECT_EQ(unmap(iova, 64), BounceStatus::ok);
}

TEST_F(BounceChunksTest, WhatIsOnStandbyServesOrGoes)
{
	ASSERT_EQ(pool_.add(0, ChunkState::standby), Status::ok);
	ASSERT_EQ(pool_.add(1, ChunkState::standby), Status::ok);
	EXPECT_EQ(pool_.remove(0), Status::ok);
	EXPECT_EQ(slots_.serve_chunk(1), Status::ok);
	EXPECT_EQ(slots_.stats().standby_bytes, 0u);
	uint64_t iova;
	EXPECT_EQ(map(1, iova), BounceStatus::ok);
	EXPECT_EQ(slots_.stats().misses, 0u);
	EXPECT_EQ(unmap(iova, 1), BounceStatus::ok);
}

TEST_F(BounceChunksTest, SeveralOnStandbyServeALongSlot)
{
	for (unsigned i = 0; i < 4; ++i)
		ASSERT_EQ(pool_.add(i, ChunkState::standby), Status::ok);
	uint64_t iova;
	ASSERT_EQ(map(5 << 20, iova), BounceStatus::ok);
	EXPECT_EQ(iova, slots_.chunk_iova(1));
	EXPECT_EQ(slots_.stats().standby_bytes, kChunkBytes);
	EXPECT_EQ(unmap(iova, 5 << 20), BounceStatus::ok);
}

// What several lcores hold in their caches, in all classes, is had by whoever needs it.
TEST_F(BounceChunksTest, DemandWithinCapacityIsNeverRefused)
{
	for (unsigned i = 0; i < 4; ++i)
		ASSERT_EQ(pool_.add(i), Status::ok);
	const uint64_t size = 4 * kChunkBytes;
	Random random(3);
	for (int round = 0; round < 20; ++round) {
		for (uint64_t slot : {uint64_t{2048}, uint64_t{4096}, uint64_t{131072}, uint64_t{524288}, kChunkBytes, size}) {
			std::vector<uint64_t> mapped;
			for (uint64_t used = 0; used < size; used += slot) {
				const unsigned lcore = static_cast<unsigned>(random.below(5));
				uint64_t iova;
				ASSERT_EQ(map(slot, iova, lcore == 4 ? kNoLcore : lcore), BounceStatus::ok) << slot;
				mapped.push_back(iova);
			}
			for (uint64_t iova : mapped)
				ASSERT_EQ(slots_.unmap(static_cast<unsigned>(random.below(4)), iova, slot, kTo, 0), BounceStatus::ok);
		}
	}
	EXPECT_EQ(slots_.stats().refused, 0u);
	slots_.release_lcore(0);
	slots_.end_period();
	slots_.end_period();
	EXPECT_TRUE(slots_.verify(stderr));
}

TEST_F(BounceChunksTest, ATransientOneMayComeBack)
{
	ASSERT_EQ(pool_.add(3, ChunkState::transient), Status::ok);
	EXPECT_EQ(slots_.serving().chunks, 1u);
	EXPECT_EQ(slots_.serving().transient, 1u);
	EXPECT_TRUE(slots_.verify(stderr));
	uint64_t iova;
	EXPECT_EQ(map(64, iova), BounceStatus::ok);
	EXPECT_EQ(unmap(iova, 64), BounceStatus::ok);
	EXPECT_EQ(pool_.remove(3), Status::ok);
	EXPECT_EQ(slots_.serving().transient, 0u);
}

// However large a pool is at its beginning, and whatever is free between what is mapped: chunks bring
// what the slot space needs. All of them have the same memory here.
class BounceNodesTest : public testing::TestWithParam<bool> {};

TEST_P(BounceNodesTest, NoSlotIsRefusedForLackOfThem)
{
	constexpr unsigned kChunks = 128;
	BounceConfig config = OwnedBounce::config(kChunks);
	config.cached = GetParam() && config.cached;
	OwnedBounce pool(config);
	BounceSlots &slots = pool.slots;
	std::vector<std::byte> memory(kChunkBytes), buffer(1, std::byte{1});
	for (unsigned i = 0; i < kChunks; ++i)
		ASSERT_EQ(pool.add(i, memory.data()), Status::ok);
	std::vector<uint64_t> mapped(kChunks * kChunkGranules);
	for (int round = 0; round < 2; ++round) {
		for (uint64_t &iova : mapped)
			ASSERT_EQ(slots.map(0, buffer.data(), 1, 0, kTo, iova), BounceStatus::ok);
		uint64_t iova;
		ASSERT_EQ(slots.map(0, buffer.data(), 1, 0, kTo, iova), BounceStatus::no_space);
		// Every second one, then the rest.
		std::sort(mapped.begin(), mapped.end());
		for (size_t first : {0, 1}) {
			for (size_t i = first; i < mapped.size(); i += 2)
				ASSERT_EQ(slots.unmap(0, mapped[i], 1, kTo, 0), BounceStatus::ok);
			ASSERT_TRUE(slots.domain().verify(stderr));
		}
	}
	EXPECT_EQ(slots.domain().stats().fail_again, 0u);
}

INSTANTIATE_TEST_SUITE_P(WithCachesOrNot, BounceNodesTest, testing::Bool());

}  // namespace
}  // namespace iovad::core
