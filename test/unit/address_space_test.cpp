// SPDX-License-Identifier: BSD-3-Clause
// Reserving and counting: what the address space adds to the tree.
#include <gtest/gtest.h>

#include <vector>

#include "core/address_space.h"
#include "tree_fixture.h"

namespace iovad::core {
namespace {

constexpr Pfn kNoLimit = ~Pfn{0};

class AddressSpaceTest : public testing::Test {
protected:
	void SetUp() override { make(64); }
	void TearDown() override { expect_sound(); }

	void make(uint32_t nodes)
	{
		memory_.reset(std::aligned_alloc(64, size_t{nodes} * kNodeBytes));
		space_.init(memory_.get(), nodes, 1, 10001);
	}
	void expect_sound()
	{
		const AddressSpace::Guard guard(space_);
		EXPECT_TRUE(space_.verify_locked(stderr));
	}
	Pfn alloc(uint64_t size)
	{
		Pfn start = 0;
		Status status;
		EXPECT_EQ(space_.alloc_run(size, 1, kNoLimit, kLive, &start, 1, status), 1u);
		return start;
	}

	AddressSpace space_;

private:
	std::unique_ptr<void, FreeDeleter> memory_;
};

TEST_F(AddressSpaceTest, ReservedIsNeverHandedOut)
{
	ASSERT_EQ(space_.reserve(5000, 10001), Status::ok);
	EXPECT_EQ(alloc(1), 4999u);
	EXPECT_EQ(space_.totals().reserved_granules, 5001u);
	EXPECT_EQ(space_.totals().live_ranges, 1u);
}

TEST_F(AddressSpaceTest, ReservingMergesWithWhatItOverlapsTouchesOrContains)
{
	ASSERT_EQ(space_.reserve(100, 200), Status::ok);
	ASSERT_EQ(space_.reserve(200, 300), Status::ok) << "touches above";
	EXPECT_EQ(space_.find(150), (Extent{100, 300, kReserved}));
	ASSERT_EQ(space_.reserve(50, 100), Status::ok) << "touches below";
	ASSERT_EQ(space_.reserve(250, 350), Status::ok) << "overlaps";
	EXPECT_EQ(space_.find(50), (Extent{50, 350, kReserved}));
	ASSERT_EQ(space_.reserve(60, 70), Status::ok) << "is contained";
	ASSERT_EQ(space_.reserve(400, 500), Status::ok);
	ASSERT_EQ(space_.reserve(600, 700), Status::ok);
	ASSERT_EQ(space_.reserve(1, 1000), Status::ok) << "contains three";
	EXPECT_EQ(space_.find(999), (Extent{1, 1000, kReserved}));
	EXPECT_EQ(space_.totals().reserved_granules, 999u);
}

TEST_F(AddressSpaceTest, ReservingOverALiveRangeChangesNothing)
{
	const Pfn live = alloc(10);
	ASSERT_EQ(space_.reserve(100, 200), Status::ok);
	EXPECT_EQ(space_.reserve(150, live + 1), Status::exists);
	EXPECT_EQ(space_.reserve(live + 9, live + 10), Status::exists);
	EXPECT_EQ(space_.reserve(1, 10001), Status::exists);
	EXPECT_EQ(space_.find(150), (Extent{100, 200, kReserved}));
	EXPECT_EQ(space_.totals().reserved_granules, 100u);
	EXPECT_EQ(space_.reserve(200, live), Status::ok) << "up to it is allowed";
	EXPECT_EQ(space_.find(live), (Extent{live, live + 10, kLive}));
}

TEST_F(AddressSpaceTest, UnreservingAPartLeavesTheRest)
{
	ASSERT_EQ(space_.reserve(100, 200), Status::ok);
	ASSERT_EQ(space_.unreserve(120, 130), Status::ok) << "the middle";
	EXPECT_EQ(space_.find(119), (Extent{100, 120, kReserved}));
	EXPECT_EQ(space_.find(120), (Extent{120, 130, 0}));
	EXPECT_EQ(space_.find(130), (Extent{130, 200, kReserved}));
	EXPECT_EQ(space_.unreserve(110, 125), Status::not_found) << "partly free";
	ASSERT_EQ(space_.unreserve(100, 110), Status::ok) << "the front";
	ASSERT_EQ(space_.unreserve(190, 200), Status::ok) << "the end";
	ASSERT_EQ(space_.unreserve(110, 120), Status::ok) << "all of one";
	EXPECT_EQ(space_.totals().reserved_granules, 60u);
	const Pfn live = alloc(1);
	EXPECT_EQ(space_.unreserve(live, live + 1), Status::not_found) << "live is not reserved";
}

TEST_F(AddressSpaceTest, AReservedRangeCannotBeFreed)
{
	ASSERT_EQ(space_.reserve(100, 110), Status::ok);
	EXPECT_EQ(space_.free(100, 10, kLive), Status::not_found);
	EXPECT_EQ(space_.totals().bad_frees, 1u);
}

TEST_F(AddressSpaceTest, WithoutNodesReservingChangesNothing)
{
	make(3);
	Status status = Status::ok;
	std::vector<Pfn> live;
	for (Pfn start; space_.alloc_run(1, 2, kNoLimit, kLive, &start, 1, status) == 1;)
		live.push_back(start);
	ASSERT_EQ(status, Status::again);
	EXPECT_EQ(space_.reserve(10, 20), Status::again);
	EXPECT_EQ(space_.find(10).value, 0);
	EXPECT_EQ(space_.totals().reserved_granules, 0u);
	expect_sound();
	for (const Pfn start : live)
		ASSERT_EQ(space_.free(start, 1, kLive), Status::ok) << "giving back needs no node";
	EXPECT_EQ(space_.reserve(10, 20), Status::ok);
}

TEST_F(AddressSpaceTest, ARunIsTakenAndGivenBackUnderOneLock)
{
	Pfn run[AddressSpace::kRun];
	Status status;
	ASSERT_EQ(space_.alloc_run(4, 4, kNoLimit, kBlock, run, AddressSpace::kRun, status), AddressSpace::kRun);
	for (unsigned i = 1; i < AddressSpace::kRun; ++i)
		EXPECT_EQ(run[i], run[i - 1] - 4);
	EXPECT_EQ(space_.totals().live_granules, 4u * AddressSpace::kRun);
	const Pfn kept = run[3];
	run[3] = 17;  // never allocated
	constexpr unsigned kFreeRun = AddressSpace::kFreeRun;
	EXPECT_EQ(space_.free_run(4, kBlock, run, kFreeRun), kFreeRun - 1);
	EXPECT_EQ(space_.free_run(4, kBlock, run + kFreeRun, AddressSpace::kRun - kFreeRun), AddressSpace::kRun - kFreeRun);
	EXPECT_EQ(space_.totals().bad_frees, 1u);
	EXPECT_EQ(space_.totals().live_ranges, 1u);
	EXPECT_EQ(space_.next_live(1), (Extent{kept, kept + 4, kBlock}));
	EXPECT_EQ(space_.next_live(kept + 4).value, 0);
}

TEST_F(AddressSpaceTest, ARowLiesSideBySideAndNotInTheGapsAbove)
{
	Pfn all[24], row[8];
	Status status;
	ASSERT_EQ(space_.alloc_run(4, 4, kNoLimit, kBlock, all, 24, status), 24u);
	for (unsigned i = 0; i < 24; i += 2)
		ASSERT_EQ(space_.free(all[i], 4, kBlock), Status::ok);
	ASSERT_TRUE(space_.alloc_row(4, 4, kNoLimit, kBlock, row, 8));
	EXPECT_EQ(row[0], all[23] - 4);
	for (unsigned i = 1; i < 8; ++i)
		EXPECT_EQ(row[i], row[i - 1] - 4);
	EXPECT_EQ(space_.totals().live_ranges, 20u);
	EXPECT_EQ(space_.free_run(4, kBlock, row, 8), 8u) << "each by itself";
	EXPECT_FALSE(space_.alloc_row(4, 4, 30, kBlock, row, 8)) << "no place for all of them";
	EXPECT_EQ(space_.totals().live_ranges, 12u);
}

TEST_F(AddressSpaceTest, ARowWithoutNodesChangesNothing)
{
	make(2);
	const uint64_t all = space_.totals().free_granules;
	Pfn row[3];
	unsigned rows = 0;
	while (space_.alloc_row(2, 2, kNoLimit, kBlock, row, 3))
		++rows;
	ASSERT_GT(space_.totals().free_granules, 6u) << "it is nodes that are used up";
	expect_sound();
	EXPECT_EQ(space_.totals().free_granules, all - rows * 6);
	EXPECT_EQ(space_.totals().live_ranges, rows * 3);
}

TEST_F(AddressSpaceTest, TellsTheMostThatWasLive)
{
	Pfn starts[8];
	Status status;
	ASSERT_EQ(space_.reserve(1, 5), Status::ok);
	EXPECT_EQ(space_.most_live(), 0u) << "reserved is not live";
	ASSERT_EQ(space_.alloc_run(4, 4, kNoLimit, kBlock, starts, 2, status), 2u);
	EXPECT_EQ(space_.free_run(4, kBlock, starts, 2), 2u);
	EXPECT_EQ(space_.live(), 0u);
	EXPECT_EQ(space_.most_live(), 8u);
	ASSERT_TRUE(space_.alloc_row(4, 4, kNoLimit, kBlock, starts, 3));
	EXPECT_EQ(space_.free(starts[0], 4, kBlock), Status::ok);
	EXPECT_EQ(space_.take_most_live(), 12u);
	EXPECT_EQ(space_.most_live(), 8u) << "from what is live on";
}

}  // namespace
}  // namespace iovad::core
