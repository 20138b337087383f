// SPDX-License-Identifier: BSD-3-Clause
// What is held back until it has to go, and what goes along with it.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "dma/held.h"

namespace iovad::dma {
namespace {

using core::MappingRecord;

constexpr uint64_t k4K = 4096;

class HeldTest : public testing::Test {
protected:
	MappingRecord *record(uint64_t page, uint64_t pages = 1, uint32_t padding = 0)
	{
		MappingRecord &r = *records_.emplace_back(std::make_unique<MappingRecord>());
		r.iova = page * k4K;
		r.len = pages * k4K;
		r.padding = padding;
		r.cached = padding == 0;
		return &r;
	}
	void add(const std::vector<MappingRecord *> &records, uint64_t at) { held.add(records, at); }
	// Their first pages.
	std::vector<uint64_t> take(uint64_t before)
	{
		const Held::Taken taken = held.take(before);
		EXPECT_EQ(taken.records.size(), taken.since.size());
		granules = taken.granules;
		since.assign(taken.since.begin(), taken.since.end());
		std::vector<uint64_t> pages;
		for (const MappingRecord *r : taken.records)
			pages.push_back(r->iova / k4K);
		return pages;
	}
	using Pages = std::vector<uint64_t>;

	const core::Geometry geometry = core::Geometry::of(k4K, k4K, (uint64_t{1} << 40) - 1);
	Held held{geometry};
	uint64_t granules = 0;
	Pages since;

private:
	std::vector<std::unique_ptr<MappingRecord>> records_;
};

TEST_F(HeldTest, NothingGoesBeforeItHasTo)
{
	EXPECT_EQ(UINT64_MAX, held.oldest());
	EXPECT_EQ(Pages(), take(UINT64_MAX));
	add({record(7), record(3)}, 100);
	add({record(20)}, 200);
	EXPECT_EQ(100u, held.oldest());
	EXPECT_EQ(Pages(), take(99));
	EXPECT_EQ(Pages({3, 7}), take(100));
	EXPECT_EQ(200u, held.oldest());
	EXPECT_EQ(Pages({20}), take(UINT64_MAX));
	EXPECT_EQ(UINT64_MAX, held.oldest());
}

TEST_F(HeldTest, NeighboursGoAlongOnBothSides)
{
	add({record(10), record(30)}, 100);
	add({record(9), record(11), record(12), record(14)}, 200);
	add({record(8)}, 300);
	EXPECT_EQ(Pages({8, 9, 10, 11, 12, 30}), take(100));
	EXPECT_EQ(Pages({300, 200, 100, 200, 200, 100}), since);
	EXPECT_EQ(6u, granules);
	EXPECT_EQ(200u, held.oldest());
	EXPECT_EQ(Pages({14}), take(200));
}

// What was allocated for a mapping is more than what is mapped: the rest of a block, and padding.
TEST_F(HeldTest, WhatIsAllocatedBetweenThemIsNoGap)
{
	add({record(16, 3)}, 100);
	add({record(20), record(32, 2, 11)}, 200);
	EXPECT_EQ(Pages({16, 20, 32}), take(100)) << "pages 19 and 21 to 31 are theirs";
	EXPECT_EQ(6u, granules);
}

TEST_F(HeldTest, HasRoomForAFullQueueAsLongAsItSays)
{
	std::vector<MappingRecord *> queue;
	for (unsigned i = 0; i < core::RetireQueue::kEntries; ++i)
		queue.push_back(record(1 + 2 * i));
	EXPECT_TRUE(held.has_room_for_queue());
	add(queue, 1);
	EXPECT_TRUE(held.has_room_for_queue());
	add({queue.back()}, 2);
	EXPECT_FALSE(held.has_room_for_queue());
	EXPECT_EQ(queue.size() + 1, take(UINT64_MAX).size());
	EXPECT_TRUE(held.has_room_for_queue());
}

}  // namespace
}  // namespace iovad::dma
