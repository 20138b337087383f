// SPDX-License-Identifier: BSD-3-Clause
// Queues of what is unmapped lazily: what fits, what each may hold, what all may hold.
#include "retire_queues_fixture.h"

namespace iovad::core {
namespace {

constexpr uint64_t kPlenty = uint64_t{1} << 30;
constexpr unsigned kEntries = RetireQueue::kEntries;

TEST(RetireQueueTest, GivesBackWhatWasPutInOrder)
{
	OwnedQueues owned(1, kPlenty);
	RetireQueue &q = *owned.queues.claim();
	std::vector<Pfn> put;
	for (Pfn i = 0; i < 3 * kEntries; ++i) {
		ASSERT_TRUE(owned.put(q, 7 * i + 1, 1 + i % 3));
		put.push_back(7 * i + 1);
		if (i % 5 != 0)
			continue;
		const std::vector<Pfn> got = owned.take(q, 3), want(put.begin(), put.begin() + static_cast<long>(got.size()));
		EXPECT_EQ(want, got);
		put.erase(put.begin(), put.begin() + static_cast<long>(got.size()));
		while (put.size() > kEntries - 10)
			put.erase(put.begin(), put.begin() + static_cast<long>(owned.take(q, 100).size()));
	}
	EXPECT_EQ(put, owned.take(q));
	EXPECT_TRUE(owned.take(q).empty());
}

TEST(RetireQueueTest, AnEntryIsWholeGranulesFromOneTo4096)
{
	OwnedQueues owned(1, kPlenty);
	RetireQueue &q = *owned.queues.claim();
	struct Case {
		uint64_t iova, len;
		Retired want;
	};
	constexpr uint64_t kTop = uint64_t{1} << 52;  // granules in all addresses
	const Case cases[] = {
		{kGranule, 1, {1, 1}},
		{kGranule, kGranule, {1, 1}},
		{kGranule, kGranule + 1, {1, 2}},
		{kGranule + 5, kGranule, {1, 2}},
		{2 * kGranule - 1, 1, {1, 1}},
		{2 * kGranule - 1, 2, {1, 2}},
		{kGranule, 4095 * kGranule, {1, 4095}},
		{kGranule + 1, 4095 * kGranule, {1, 4096}},
		{2 * kGranule - 1, 4095 * kGranule, {1, 4096}},
		{0, 1, {0, 1}},
		{~uint64_t{0}, 1, {kTop - 1, 1}},
		{~uint64_t{0} - kGranule, kGranule, {kTop - 2, 2}},
	};
	for (const Case &c : cases) {
		SCOPED_TRACE(testing::Message() << std::hex << c.iova << ' ' << c.len);
		ASSERT_TRUE(RetireQueue::takes(kShift, c.len));
		ASSERT_TRUE(owned.queues.extend(q, c.want.granules));
		const uint64_t before = q.granules();
		ASSERT_TRUE(q.put(kShift, c.iova, c.len));
		EXPECT_EQ(c.want.granules, q.granules() - before);
		uint64_t entry, since;
		ASSERT_EQ(1u, q.take(&entry, 1, 0, since));
		EXPECT_EQ(c.want.first, Retired::of(entry).first);
		EXPECT_EQ(c.want.granules, Retired::of(entry).granules);
	}
}

TEST(RetireQueueTest, WhatNoEntryCanSayIsRefusedAndChangesNothing)
{
	OwnedQueues owned(1, kPlenty);
	RetireQueue &q = *owned.queues.claim();
	ASSERT_TRUE(owned.queues.extend(q, IOVAD_HOT_LONGEST));
	struct Case {
		uint64_t iova, len;
	};
	const Case cases[] = {{kGranule, 0},
			      {0, 0},
			      {kGranule, 4096 * kGranule},
			      {kGranule + 1, 4096 * kGranule},
			      {kGranule, ~uint64_t{0}},
			      {1, ~uint64_t{0}},
			      {~uint64_t{0}, ~uint64_t{0}},
			      {kGranule, ~uint64_t{0} - kGranule + 2}};
	for (const Case &c : cases) {
		EXPECT_FALSE(q.put(kShift, c.iova, c.len)) << std::hex << c.iova << ' ' << c.len;
		EXPECT_FALSE(RetireQueue::takes(kShift, c.len));
	}
	// Past the end of all addresses.
	EXPECT_FALSE(q.put(kShift, ~uint64_t{0}, 2));
	EXPECT_FALSE(q.put(kShift, ~uint64_t{0} - kGranule, 100 * kGranule));
	EXPECT_EQ(0u, q.put());
	EXPECT_EQ(0u, q.granules());
	EXPECT_TRUE(owned.take(q).empty());
}

TEST(RetireQueueTest, GranulesOf1GiB)
{
	OwnedQueues owned(1, kPlenty);
	RetireQueue &q = *owned.queues.claim();
	ASSERT_TRUE(owned.queues.extend(q, 3));
	ASSERT_TRUE(q.put(30, (uint64_t{5} << 30) + 17, uint64_t{2} << 30));
	EXPECT_EQ(3u, q.granules());
	EXPECT_EQ(5u, owned.take(q).at(0));
}

TEST(RetireQueueTest, NothingIsPutBeforeItIsExtendedNorAfterItIsClosed)
{
	OwnedQueues owned(1, kPlenty);
	RetireQueue &q = *owned.queues.claim();
	EXPECT_FALSE(q.put(kShift, kGranule, 1));
	EXPECT_TRUE(owned.put(q, 1));
	EXPECT_TRUE(q.put(kShift, kGranule, 1)) << "more than was asked for";
	q.close();
	EXPECT_FALSE(q.put(kShift, kGranule, 1));
	EXPECT_EQ(2u, owned.take(q).size()) << "what is there stays";
	EXPECT_TRUE(owned.put(q, 1)) << "until it is extended";
}

// However much the limit allows, the ring holds so many.
TEST(RetireQueueTest, TheRingNeverOverflows)
{
	for (const uint64_t granules : {1, 2, 3, 100, 4095}) {
		OwnedQueues owned(1, kPlenty);
		RetireQueue &q = *owned.queues.claim();
		for (Pfn i = 0; i < kEntries; ++i)
			ASSERT_TRUE(owned.put(q, 2 * i, granules)) << i;
		EXPECT_FALSE(owned.put(q, 1, granules));
		EXPECT_FALSE(owned.put(q, 1));
		EXPECT_EQ(2u, owned.take(q, 3).at(1));
		for (Pfn i = 0; i < 3; ++i)
			EXPECT_TRUE(owned.put(q, 10000 + i)) << "as many as were taken";
		EXPECT_FALSE(owned.put(q, 1));
		const std::vector<Pfn> left = owned.take(q);
		ASSERT_EQ(kEntries, left.size());
		EXPECT_EQ(6u, left.front());
		EXPECT_EQ(10002u, left.back());
	}
}

// It was: the limit stood far above the room in the ring.
TEST(RetireQueueTest, IsNotExtendedForMoreThanAnEntryCanSay)
{
	OwnedQueues owned(1, kPlenty);
	RetireQueue &q = *owned.queues.claim();
	EXPECT_FALSE(owned.queues.extend(q, IOVAD_HOT_LONGEST + 1));
	EXPECT_FALSE(owned.queues.extend(q, 5000));
	EXPECT_FALSE(q.put(kShift, kGranule, 1));
}

TEST(RetireQueueTest, TheLastPlaceMayBeForALongEntry)
{
	OwnedQueues owned(1, kPlenty);
	RetireQueue &q = *owned.queues.claim();
	for (Pfn i = 0; i < kEntries - 1; ++i)
		ASSERT_TRUE(owned.put(q, i));
	EXPECT_TRUE(owned.put(q, 1, 4000));
	EXPECT_FALSE(owned.put(q, 1));
	EXPECT_EQ(kEntries, owned.take(q).size());
}

// ---- the budget ----

TEST(RetireQueuesTest, TheBudgetIsForAllTogetherAndComesBackWhenItIsDone)
{
	OwnedQueues owned(2, 10);
	RetireQueue &a = *owned.queues.claim(), &b = *owned.queues.claim();
	for (Pfn i = 0; i < 7; ++i)
		ASSERT_TRUE(owned.put(a, i));
	EXPECT_FALSE(owned.put(b, 100, 4));
	EXPECT_TRUE(owned.put(b, 100, 3));
	EXPECT_FALSE(owned.put(a, 7));
	EXPECT_FALSE(owned.put(b, 7));
	EXPECT_EQ(10u, owned.queues.deferred().granules);
	EXPECT_EQ(8u, owned.queues.deferred().entries);
	owned.taken_granules = 0;
	EXPECT_EQ(7u, owned.take(a).size());
	EXPECT_FALSE(owned.put(a, 7)) << "taken is not done";
	EXPECT_EQ(10u, owned.queues.deferred().granules);
	owned.queues.done(7, 7, owned.since, now_ns());
	EXPECT_EQ(3u, owned.queues.deferred().granules);
	EXPECT_EQ(1u, owned.queues.deferred().entries);
	EXPECT_TRUE(owned.put(b, 7, 7));
}

TEST(RetireQueuesTest, MoreThanTheBudgetIsNeverPut)
{
	OwnedQueues owned(1, 3);
	EXPECT_FALSE(owned.put(*owned.queues.claim(), 1, 4));
	EXPECT_TRUE(owned.put(owned.queues.shared(), 1, 3)) << "nothing was spent on it";
	OwnedQueues none(1, 0);
	EXPECT_FALSE(none.put(none.queues.shared(), 1));
}

TEST(RetireQueuesTest, IdleOwnersLeaveMostOfIt)
{
	constexpr unsigned kOwners = 7, kMost = 4096;
	OwnedQueues owned(kOwners, kMost);
	for (unsigned i = 1; i < kOwners; ++i)
		ASSERT_TRUE(owned.put(*owned.queues.claim(), i));
	RetireQueue &busy = *owned.queues.claim();
	Pfn n = 0;
	while (owned.put(busy, n))
		++n;
	EXPECT_LE(kMost * 3 / 4, n);
}

TEST(RetireQueuesTest, EachHasOneOwnerUntilItIsReleased)
{
	OwnedQueues owned(2, kPlenty);
	RetireQueue *a = owned.queues.claim(), *b = owned.queues.claim();
	ASSERT_TRUE(a && b);
	EXPECT_NE(a, b);
	EXPECT_NE(&owned.queues.shared(), a);
	EXPECT_NE(&owned.queues.shared(), b);
	EXPECT_EQ(nullptr, owned.queues.claim());
	owned.queues.release(*a);
	EXPECT_EQ(a, owned.queues.claim());
	EXPECT_EQ(nullptr, owned.queues.claim());
}

TEST(RetireQueuesTest, AReleasedQueueGivesBackWhatItMightHavePut)
{
	OwnedQueues owned(1, 40);
	RetireQueue &q = *owned.queues.claim();
	ASSERT_TRUE(owned.put(q, 1));
	ASSERT_EQ(1u, owned.finish(q, 10, now_ns()));
	owned.queues.release(q);
	EXPECT_FALSE(q.put(kShift, kGranule, 1)) << "it is closed";
	EXPECT_TRUE(owned.put(owned.queues.shared(), 1, 40));
	EXPECT_FALSE(owned.put(*owned.queues.claim(), 1));
}

TEST(RetireQueuesTest, WithoutLcoresThereIsTheSharedOne)
{
	OwnedQueues owned(0, 100);
	EXPECT_EQ(nullptr, owned.queues.claim());
	EXPECT_TRUE(owned.put(owned.queues.shared(), 5));
	EXPECT_EQ(5u, owned.take(owned.queues.shared()).at(0));
}

// ---- gauges ----

TEST(RetireQueuesTest, ThePeakIsTheMostThatWasNoted)
{
	OwnedQueues owned(1, kPlenty);
	RetireQueue &q = *owned.queues.claim();
	for (const uint64_t granules : {5, 20, 10}) {
		ASSERT_TRUE(owned.put(q, 1, granules));
		owned.queues.note_peak();
		owned.finish(q, 10, now_ns());
		owned.queues.note_peak();
	}
	EXPECT_EQ(20u, owned.queues.counters.peak_granules);
}

TEST(RetireQueuesTest, AgesAreCountedByPowersOfTwo)
{
	OwnedQueues owned(0, 100);
	RetireQueues &queues = owned.queues;
	EXPECT_EQ(0u, queues.age_us(500));
	const uint64_t now = uint64_t{1} << 62;
	queues.done(90, 90, now - 3 * kMicrosecond, now);
	queues.done(9, 9, now - 1000 * kMicrosecond, now);
	queues.done(1, 1, now - 900 * kMillisecond, now);
	EXPECT_EQ(4u, queues.age_us(500));
	EXPECT_EQ(4u, queues.age_us(900));
	EXPECT_EQ(1024u, queues.age_us(990));
	EXPECT_EQ(uint64_t{1} << 20, queues.age_us(1000));
	EXPECT_EQ(900 * kMillisecond, queues.counters.peak_age);
	queues.done(100, 0, 0, now);  // 146 years
	EXPECT_EQ(uint64_t{1} << 31, queues.age_us(1000));
	queues.done(1, 0, now + 1, now);  // by a clock read later
	EXPECT_EQ(now, queues.counters.peak_age);
}

}  // namespace
}  // namespace iovad::core
