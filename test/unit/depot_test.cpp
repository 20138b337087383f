// SPDX-License-Identifier: BSD-3-Clause
// The depot alone: periods, what is surplus after them, and magazines that grow.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "core/depot.h"
#include "tree_fixture.h"

namespace iovad::core {
namespace {

constexpr uint64_t kPage = 4096;

class DepotTest : public testing::Test {
protected:
	static constexpr uint32_t kMagazines = 200;
	const Bin bin_ = Bin::of(0, 1);

	void SetUp() override { make((uint64_t{1} << 32) - 1); }
	void make(uint64_t last_byte)
	{
		memory_.reset(std::aligned_alloc(64, sizeof(Magazine) * kMagazines));
		depot_.init(static_cast<Magazine *>(memory_.get()), kMagazines, Geometry::of(kPage, kPage, last_byte), 12);
	}
	std::vector<Magazine *> grant(unsigned n)
	{
		std::vector<Magazine *> granted(n);
		for (Magazine *&m : granted) {
			m = depot_.grant(bin_);
			EXPECT_NE(m, nullptr);
		}
		return granted;
	}
	// One for one, or null.
	Magazine *exchange_full(Magazine *m) { return depot_.exchange_full({&m, 1}) != 0 ? m : nullptr; }
	Magazine *exchange_empty(Magazine *m) { return depot_.exchange_empty(bin_, {&m, 1}) != 0 ? m : nullptr; }
	void put_full(Magazine *m)
	{
		m->set_count(m->capacity);
		Magazine *empty = exchange_full(m);
		ASSERT_NE(empty, nullptr);
		depot_.put_back(empty);
	}
	Magazine *take_full(Magazine *empty = nullptr)
	{
		Magazine *m = exchange_empty(empty);
		EXPECT_NE(m, nullptr);
		m->set_count(0);
		return m;
	}
	// On the shelf: as many full ones, and empty ones beside them.
	void stock(unsigned full, unsigned empty)
	{
		for (Magazine *m : grant(full + empty))
			put_full(m);
		for (Magazine *m : grant(empty))
			depot_.put_back(take_full(m));
		ASSERT_EQ(depot_.view(bin_).full, full);
		ASSERT_EQ(depot_.view(bin_).empty, empty);
	}
	unsigned take_surplus()
	{
		unsigned n = 0;
		while (Magazine *m = depot_.take_surplus(bin_)) {
			depot_.put_back(m);
			++n;
		}
		return n;
	}
	// Another lcore at the shelf, which is locked for a while at each of its turns, until it
	// had to wait as often.
	void contend(uint64_t times)
	{
		put_full(depot_.grant(bin_));
		const uint64_t enough = depot_.view(bin_).contended + times;
		std::atomic<bool> done = false;
		std::atomic<unsigned> turns = 0;
		std::thread other([&] {
			for (; !done; ++turns)
				depot_.put_back(exchange_full(exchange_empty(nullptr)));
		});
		while (depot_.view(bin_).contended < enough) {
			const unsigned before = turns;
			depot_.for_each_full([](const Magazine &, unsigned) { hold(); });
			while (turns == before)
				std::this_thread::yield();
		}
		done = true;
		other.join();
		depot_.put_back(take_full());
	}
	// Long enough for another core to come by, or for another thread of this one.
	static void hold()
	{
		for (int i = 0; i < 1000; ++i)
			cpu_relax();
		std::this_thread::yield();
	}
	unsigned capacity() { return depot_.view(bin_).capacity; }
	uint64_t charged() { return depot_.charge(1).used; }

	Depot depot_;

private:
	std::unique_ptr<void, FreeDeleter> memory_;
};

TEST_F(DepotTest, WhatNobodyNeededInAPeriodIsSurplus)
{
	stock(10, 6);
	depot_.end_period();
	EXPECT_EQ(take_surplus(), 0u) << "the first period began with none";
	Magazine *const some[] = {take_full(depot_.grant(bin_)), take_full(), take_full()};
	for (Magazine *m : some)
		put_full(m);
	depot_.end_period();
	EXPECT_EQ(take_surplus(), 7u + 4u) << "three full and, with one more at first, three empty were needed";
	EXPECT_EQ(depot_.view(bin_).full, 3u);
	EXPECT_EQ(depot_.view(bin_).empty, 0u);
	depot_.end_period();
	EXPECT_EQ(take_surplus(), 3u) << "nobody needed anything";
	EXPECT_EQ(depot_.granted(), 0u);
	EXPECT_EQ(charged(), 0u);
}

TEST_F(DepotTest, WhatIsNeededAgainIsNoSurplus)
{
	stock(10, 0);
	depot_.end_period();
	depot_.end_period();
	std::vector<Magazine *> needed;
	for (int i = 0; i < 8; ++i)
		needed.push_back(take_full());
	for (Magazine *m : needed)
		put_full(m);
	EXPECT_EQ(take_surplus(), 2u);
	EXPECT_EQ(depot_.view(bin_).full, 8u);
}

TEST_F(DepotTest, TakingEverythingLeavesNoSurplus)
{
	stock(5, 5);
	depot_.end_period();
	depot_.end_period();
	MagazineList all;
	depot_.take_all(all);
	EXPECT_EQ(all.length, 10u);
	while (Magazine *m = all.pop())
		depot_.put_back(m);
	stock(5, 5);
	EXPECT_EQ(take_surplus(), 0u);
}

TEST_F(DepotTest, SeveralAreExchangedAtOnceAsFarAsThereAre)
{
	stock(3, 0);
	const std::vector<Magazine *> mine = grant(2);
	std::vector<Magazine *> m = mine;
	ASSERT_EQ(depot_.exchange_empty(bin_, m), 2u);
	EXPECT_EQ(m[0]->count() + m[1]->count(), 2u * 64);
	EXPECT_EQ(depot_.view(bin_).empty, 2u);
	std::vector<Magazine *> more = {nullptr, nullptr};
	ASSERT_EQ(depot_.exchange_empty(bin_, more), 1u);
	EXPECT_EQ(more[1], nullptr);
	m.push_back(more[0]);
	const std::vector<Magazine *> full = m;
	ASSERT_EQ(depot_.exchange_full(m), 2u) << "there were two empty ones";
	EXPECT_EQ(std::minmax(m[0], m[1]), std::minmax(mine[0], mine[1]));
	EXPECT_EQ(m[2], full[2]);
	ASSERT_EQ(depot_.exchange_full({&m[2], 1}), 1u) << "one is granted";
	EXPECT_EQ(depot_.view(bin_).full, 3u);
	for (Magazine *empty : m)
		depot_.put_back(empty);
}

TEST_F(DepotTest, WhereThereIsPlentyMagazinesBeginLarge)
{
	make((uint64_t{1} << 48) - 1);
	EXPECT_EQ(capacity(), 126u);
	EXPECT_EQ(depot_.view(Bin::of(0, 0)).capacity, 64u) << "below 4 GiB";
	depot_.reset_capacities();
	EXPECT_EQ(capacity(), 64u) << "it ran out";
}

TEST_F(DepotTest, MagazinesOfABinThatIsContendedGrowUpToWhatFits)
{
	EXPECT_EQ(capacity(), 64u);
	EXPECT_EQ(depot_.end_period(), 0u);
	for (const unsigned expected : {96u, 126u}) {
		contend(Depot::kContended);
		EXPECT_EQ(depot_.end_period(), 1u);
		EXPECT_EQ(capacity(), expected);
		EXPECT_EQ(depot_.end_period(), 0u) << "once for each time";
	}
	contend(Depot::kContended);
	EXPECT_EQ(depot_.end_period(), 0u);
	EXPECT_EQ(depot_.view(Bin::of(1, 1)).capacity, 64u) << "other bins do not";
	depot_.reset_capacities();
	EXPECT_EQ(capacity(), 64u);
	EXPECT_EQ(charged(), 0u);
}

TEST_F(DepotTest, SizesMayDifferAndTheBudgetCountsEach)
{
	const std::vector<Magazine *> small = grant(3);
	contend(Depot::kContended);
	ASSERT_EQ(depot_.end_period(), 1u);
	Magazine *large = depot_.grant(bin_);
	EXPECT_EQ(large->capacity, 96u);
	EXPECT_EQ(charged(), 3 * 64u + 96);
	put_full(small[0]);
	ASSERT_EQ(take_full(small[1]), small[0]) << "small[1] is on the shelf now, empty";
	large->set_count(large->capacity);
	Magazine *again = exchange_full(large);
	EXPECT_EQ(again, small[1]);
	EXPECT_EQ(again->capacity, 96u) << "it was brought to the new size";
	EXPECT_EQ(charged(), 2 * 64u + 2 * 96);
	depot_.reset_capacities();
	ASSERT_EQ(take_full(), large);
	for (Magazine *m : {small[0], small[1], small[2], large})
		depot_.put_back(m);
	EXPECT_EQ(charged(), 0u);
}

TEST_F(DepotTest, NothingGrowsBeyondTheBudget)
{
	make((uint64_t{1} << 24) - 1);  // 4095 granules: caches may hold 491 of them
	ASSERT_EQ(capacity(), 32u);
	std::vector<Magazine *> small = grant(7);
	contend(Depot::kContended);
	ASSERT_EQ(depot_.end_period(), 1u);
	ASSERT_EQ(capacity(), 48u);
	std::vector<Magazine *> large = grant(1);
	contend(Depot::kContended);
	EXPECT_EQ(depot_.end_period(), 0u) << "more than half is used";
	put_full(small[0]);
	put_full(small[1]);
	ASSERT_EQ(take_full(small[2]), small[1]);
	ASSERT_EQ(take_full(small[3]), small[0]);
	for (Magazine *m : grant(4))
		large.push_back(m);
	ASSERT_EQ(charged(), 7 * 32u + 5 * 48);
	EXPECT_EQ(exchange_full(small[0])->capacity, 48u);
	EXPECT_EQ(exchange_full(small[1])->capacity, 32u) << "16 more would be too many";
	EXPECT_EQ(charged(), 6 * 32u + 6 * 48);
	EXPECT_EQ(depot_.grant(bin_), nullptr);
	for (Magazine *m : small)
		depot_.put_back(m);
	for (Magazine *m : large)
		depot_.put_back(m);
	EXPECT_EQ(charged(), 0u);
}

}  // namespace
}  // namespace iovad::core
