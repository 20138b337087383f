// SPDX-License-Identifier: BSD-3-Clause
// How long entries have waited: never more than the queue says, and not much less. Time is the
// test's.
#include <deque>

#include "random.h"
#include "retire_queues_fixture.h"

namespace iovad::core {
namespace {

constexpr uint64_t kPlenty = uint64_t{1} << 30;
constexpr unsigned kEntries = RetireQueue::kEntries;

class RetireQueueAges : public testing::Test {
protected:
	OwnedQueues owned{1, kPlenty};
	RetireQueue &q = *owned.queues.claim();
	uint64_t now = now_ns() + 1;

	unsigned take(unsigned most)
	{
		return static_cast<unsigned>(owned.take(q, most, now).size());
	}
	void put(unsigned n)
	{
		for (unsigned i = 0; i < n; ++i)
			ASSERT_TRUE(owned.put(q, i));
	}
};

TEST_F(RetireQueueAges, CountFromTheVisitBefore)
{
	take(1);
	for (int i = 0; i < 5; ++i) {
		const uint64_t visited = now;
		now += 100;
		put(3);
		now += 100;
		EXPECT_EQ(visited, q.oldest(now));
		EXPECT_EQ(3u, take(10));
		EXPECT_EQ(visited, owned.since);
		EXPECT_EQ(now, q.oldest(now)) << "nothing is there";
	}
}

TEST_F(RetireQueueAges, AnIdleQueueDoesNotAgeWhereSomebodyComesBy)
{
	for (int i = 0; i < 10; ++i) {
		now += 1000000;
		EXPECT_EQ(0u, take(10));
	}
	put(1);
	EXPECT_EQ(now, q.oldest(now + 5));
}

TEST_F(RetireQueueAges, WhatIsLeftIsNotYounger)
{
	take(1);
	const uint64_t first = now;
	put(10);
	now += 100;
	EXPECT_EQ(4u, take(4));
	EXPECT_EQ(first, q.oldest(now));
	now += 100;
	put(10);
	EXPECT_EQ(4u, take(4));
	EXPECT_EQ(first, owned.since);
}

// An owner that helps itself, over and over, in a queue that is never empty: ages once grew for
// ever.
TEST_F(RetireQueueAges, StayBoundedInAQueueThatIsNeverEmpty)
{
	constexpr unsigned kHelp = kEntries / 8;
	put(kEntries);
	for (int i = 0; i < 100; ++i) {
		now += 100;
		ASSERT_EQ(kHelp, take(kHelp));
		put(kHelp);
		// What goes through the queue takes kEntries / kHelp visits.
		EXPECT_LE(i < 10 ? 0 : now - owned.since, 2 * 100 * kEntries / kHelp) << i;
		EXPECT_LE(i < 10 ? 0 : now - q.oldest(now), 2 * 100 * kEntries / kHelp);
	}
}

// Whatever is done in whatever order.
TEST_F(RetireQueueAges, AreBoundsOfTheRealOnes)
{
	for (uint64_t seed = 1; seed <= 20; ++seed) {
		SCOPED_TRACE(testing::Message() << "seed " << seed);
		Random random(seed);
		std::deque<uint64_t> real;  // when each was put
		std::deque<uint64_t> visits{now};
		while (take(kEntries) != 0)
			;
		for (unsigned i = 0; i < 3000; ++i) {
			now += random.below(1000);
			if (random.below(3) != 0) {
				for (uint64_t n = random.below(20); n > 0 && real.size() < kEntries; --n) {
					put(1);
					real.push_back(now);
				}
				continue;
			}
			// A clock that was read a little earlier than others have put.
			const uint64_t said = now - (random.below(4) == 0 ? random.below(now - visits.back() + 1) : 0);
			const uint64_t oldest = q.oldest(said);
			ASSERT_LE(oldest, real.empty() ? said : real.front());
			const std::vector<Pfn> got = owned.take(q, static_cast<unsigned>(1 + random.below(60)), said);
			ASSERT_EQ(std::min(got.size(), real.size()), got.size());
			if (!got.empty()) {
				ASSERT_LE(owned.since, real.front());
			}
			visits.push_back(said);
			real.erase(real.begin(), real.begin() + static_cast<long>(got.size()));
		}
		owned.take(q, kEntries, now);
	}
}

TEST_F(RetireQueueAges, OfAllQueuesAndOfWhatIsInWork)
{
	RetireQueues &all = owned.queues;
	owned.take(q, 1, now);
	owned.take(all.shared(), 1, now + 10);
	EXPECT_EQ(now + 50, all.oldest(now + 50)) << "nothing is deferred";
	ASSERT_TRUE(owned.put(all.shared(), 1));
	EXPECT_EQ(now + 10, all.oldest(now + 50));
	ASSERT_TRUE(owned.put(q, 1));
	EXPECT_EQ(now, all.oldest(now + 50));
	all.set_in_work_since(now);
	owned.take(q, 1, now + 20);
	owned.take(all.shared(), 1, now + 20);
	EXPECT_EQ(now, all.oldest(now + 50)) << "taken, not done";
	all.set_in_work_since(UINT64_MAX);
	EXPECT_EQ(now + 50, all.oldest(now + 50));
}

// ---- when it is time to take ----

class RetireQueuesDue : public testing::Test {
protected:
	static constexpr uint64_t kMost = 1000, kAge = 10 * kMillisecond;

	OwnedQueues owned{1, kMost, kAge};
	RetireQueue &q = *owned.queues.claim();
	uint64_t now = now_ns() + 1;
};

TEST_F(RetireQueuesDue, WhenSomethingHasWaitedForAnEighthOfTheTime)
{
	for (RetireQueue *queue : {&q, &owned.queues.shared()}) {
		EXPECT_FALSE(owned.queues.due(now)) << "nothing is there";
		now += kAge;
		EXPECT_FALSE(owned.queues.due(now));
		ASSERT_TRUE(owned.put(*queue, 1));
		EXPECT_FALSE(owned.queues.due(now + kAge / 8 - 1));
		EXPECT_TRUE(owned.queues.due(now + kAge / 8));
		owned.finish(*queue, 10, now + kAge / 8);
		EXPECT_FALSE(owned.queues.due(now + kAge / 8));
		now += kAge;
	}
}

TEST_F(RetireQueuesDue, WhenHalfOfTheBudgetIsUsedUp)
{
	owned.queues.due(now);
	ASSERT_TRUE(owned.put(q, 1, 500));
	EXPECT_FALSE(owned.queues.due(now));
	ASSERT_TRUE(owned.put(owned.queues.shared(), 1));
	EXPECT_TRUE(owned.queues.due(now));
}

TEST_F(RetireQueuesDue, WhenARingIsHalfFull)
{
	OwnedQueues large(1, kPlenty, kAge);
	large.queues.due(now);
	for (unsigned i = 0; i <= kEntries / 2; ++i) {
		EXPECT_FALSE(large.queues.due(now));
		ASSERT_TRUE(large.put(large.queues.shared(), i));
	}
	EXPECT_TRUE(large.queues.due(now));
}

// A helper came by with a later clock.
TEST_F(RetireQueuesDue, NotForATimeThatIsStillToCome)
{
	owned.queues.due(now);
	ASSERT_TRUE(owned.put(q, 1));
	ASSERT_TRUE(owned.put(q, 2));
	owned.finish(q, 1, now + 100);
	owned.finish(q, 1, now + 200);
	ASSERT_TRUE(owned.put(q, 3));
	EXPECT_FALSE(owned.queues.due(now));
}

}  // namespace
}  // namespace iovad::core
