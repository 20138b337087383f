// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "index_tables.h"
#include "random.h"

namespace iovad::core {
namespace {

using Entry = PageIndex::Entry;

constexpr Pfn kEnd = Pfn{1} << 36, kChunk = 512, kHuge = kChunk * 512;
constexpr unsigned kLevelsBelow = 3;  // of 36 bits

class PageIndexTest : public testing::Test {
protected:
	PageIndexTest()
	{
		index.init(memory.take(1), kEnd);
		pool.give(memory.take(kTables), kTables);
	}
	uint32_t taken() const { return given - pool.count(); }
	bool fill(Pfn first, Pfn pages, Entry e) { return index.fill(first, first + pages, e, pool); }
	void clear(Pfn first, Pfn pages, Entry e) { index.clear(first, first + pages, e); }
	void expect(Pfn first, Pfn pages, Entry e)
	{
		EXPECT_NE(e, index.find(first - 1)) << first;
		EXPECT_EQ(e, index.find(first)) << first;
		EXPECT_EQ(e, index.find(first + pages / 2)) << first;
		EXPECT_EQ(e, index.find(first + pages - 1)) << first;
		EXPECT_NE(e, index.find(first + pages)) << first;
	}
	// As many slots as cover e.
	unsigned slots(Entry e)
	{
		unsigned n = 0;
		index.for_each([&](Pfn, Pfn, Entry of) { n += of == e; });
		return n;
	}

	static constexpr unsigned kTables = 64;
	uint32_t given = kTables;
	IndexTables memory;
	PageIndex index;
	PageIndex::Pool pool;
};

TEST_F(PageIndexTest, IsEmptyAtFirst)
{
	for (const Pfn page : {Pfn{0}, Pfn{1}, kChunk, kHuge, kEnd - 1})
		EXPECT_EQ(0u, index.find(page));
	EXPECT_TRUE(index.holds(kEnd - 1));
	EXPECT_FALSE(index.holds(kEnd));
	EXPECT_FALSE(index.holds(~Pfn{0}));
}

TEST_F(PageIndexTest, OnePageNeedsATablePerLevel)
{
	EXPECT_TRUE(fill(5 * kHuge + 7, 1, 2));
	expect(5 * kHuge + 7, 1, 2);
	EXPECT_EQ(kLevelsBelow, taken());
}

TEST_F(PageIndexTest, AnAlignedChunkIsOneEntryOfTheLevelAbove)
{
	EXPECT_TRUE(fill(kHuge + kChunk, kChunk, 2));
	expect(kHuge + kChunk, kChunk, 2);
	EXPECT_EQ(1u, slots(2));
	EXPECT_EQ(kLevelsBelow - 1, taken());
	EXPECT_TRUE(fill(2 * kHuge, kHuge, 4));
	expect(2 * kHuge, kHuge, 4);
	EXPECT_EQ(1u, slots(4));
	EXPECT_EQ(kLevelsBelow - 1, taken()) << "in the same table as the chunk's";
}

TEST_F(PageIndexTest, ChunksThatAreNotAlignedAreFilledPageByPage)
{
	EXPECT_TRUE(fill(kChunk + 1, kChunk, 2));
	expect(kChunk + 1, kChunk, 2);
	EXPECT_EQ(kChunk, slots(2));
}

TEST_F(PageIndexTest, StraddlingTakesTablesAlongBothEndsOnly)
{
	const Pfn first = Pfn{512} * kHuge - kHuge - kChunk - 1, pages = 2 * (kHuge + kChunk + 1);
	EXPECT_TRUE(fill(first, pages, 2));
	expect(first, pages, 2);
	// On each side of the border: a huge entry, a chunk, a page.
	EXPECT_EQ(6u, slots(2));
	EXPECT_EQ(2 * kLevelsBelow, taken());
	EXPECT_LE(taken(), PageIndex::kMostTables);
}

// 64-bit addresses and the smallest pages: as deep as it can be.
TEST_F(PageIndexTest, NoFillTakesMoreTablesThanItMay)
{
	for (const unsigned bits : {1u, 9u, 10u, 27u, 28u, 36u, 45u, 46u, 52u}) {
		const Pfn end = Pfn{1} << bits;
		PageIndex deep;
		deep.init(memory.take(1), end);
		const uint32_t before = pool.count();
		EXPECT_TRUE(deep.fill(1, end - 1 + (end == 2), 2, pool)) << bits;
		EXPECT_LE(before - pool.count(), PageIndex::kMostTables) << bits;
		EXPECT_EQ(0u, deep.find(0));
		EXPECT_EQ(2u, deep.find(1));
		EXPECT_EQ(2u, deep.find(end / 2));
		deep.clear(1, end, 2);
		deep.for_each([](Pfn page, Pfn, Entry) { ADD_FAILURE() << page; });
		pool.give(memory.take(16), 16);
	}
}

TEST_F(PageIndexTest, TheLastPage)
{
	EXPECT_TRUE(fill(kEnd - 1, 1, 2));
	EXPECT_EQ(2u, index.find(kEnd - 1));
	EXPECT_EQ(0u, index.find(kEnd - 2));
	EXPECT_EQ(0u, index.find(0));
	clear(kEnd - 1, 1, 2);
	EXPECT_EQ(0u, index.find(kEnd - 1));
}

TEST_F(PageIndexTest, AnEndThatIsNoPowerOfTwo)
{
	PageIndex odd;
	odd.init(memory.take(1), kHuge + 3);
	EXPECT_TRUE(odd.fill(kHuge, kHuge + 3, 2, pool));
	EXPECT_EQ(2u, odd.find(kHuge + 2));
	EXPECT_TRUE(odd.holds(kHuge + 2));
	EXPECT_FALSE(odd.holds(kHuge + 3));
}

TEST_F(PageIndexTest, WhatIsCoveredStaysAndIsTold)
{
	ASSERT_TRUE(fill(10, 2, 2));
	EXPECT_FALSE(fill(9, 4, 4));
	EXPECT_EQ(4u, index.find(9));
	EXPECT_EQ(2u, index.find(10));
	EXPECT_EQ(2u, index.find(11));
	EXPECT_EQ(4u, index.find(12));
	// Also where a slot of a higher level covers it.
	ASSERT_TRUE(fill(kHuge, kChunk, 6));
	EXPECT_FALSE(fill(kHuge + 3, 1, 8));
	EXPECT_FALSE(fill(kHuge + kChunk - 1, 2, 8));
	EXPECT_EQ(6u, index.find(kHuge + 3));
	EXPECT_EQ(8u, index.find(kHuge + kChunk));
}

TEST_F(PageIndexTest, FillingAgainCompletes)
{
	ASSERT_TRUE(fill(10, 2, 2));
	ASSERT_FALSE(fill(8, 8, 4));
	clear(10, 2, 2);
	EXPECT_EQ(0u, index.find(10));
	EXPECT_TRUE(fill(8, 8, 4));
	expect(8, 8, 4);
}

TEST_F(PageIndexTest, WhatYieldsMakesWay)
{
	ASSERT_TRUE(fill(kChunk, kChunk, 2));
	ASSERT_TRUE(fill(2 * kChunk + 5, 1, 4));
	const auto yields = [](Entry old) { return old == 2; };
	EXPECT_FALSE(index.fill(kChunk - 1, 3 * kChunk + 1, 6, pool, yields));
	EXPECT_EQ(6u, index.find(kChunk - 1));
	EXPECT_EQ(6u, index.find(kChunk));
	EXPECT_EQ(4u, index.find(2 * kChunk + 5));
	EXPECT_EQ(6u, index.find(3 * kChunk));
	EXPECT_EQ(0u, slots(2));
	EXPECT_TRUE(index.fill(kChunk - 1, 3 * kChunk + 1, 6, pool, [](Entry) { return true; }));
	expect(kChunk - 1, 2 * kChunk + 2, 6);
}

TEST_F(PageIndexTest, WhatYieldsKeepsItsRest)
{
	ASSERT_TRUE(fill(kHuge, kHuge, 2));
	EXPECT_TRUE(index.fill(kHuge + 5, kHuge + kChunk + 1, 4, pool, [](Entry old) { return old == 2; }));
	expect(kHuge + 5, kChunk - 4, 4);
	EXPECT_EQ(2u, index.find(kHuge + 4));
	EXPECT_EQ(2u, index.find(kHuge + kChunk + 1));
	EXPECT_EQ(2u, index.find(2 * kHuge - 1));
	clear(kHuge, kHuge, 2);
	expect(kHuge + 5, kChunk - 4, 4);
	EXPECT_EQ(0u, slots(2));
}

TEST_F(PageIndexTest, ClearsOnlyWhatThatEntryCovers)
{
	ASSERT_TRUE(fill(10, 2, 2));
	ASSERT_FALSE(fill(9, 4, 4));
	clear(9, 4, 4);
	EXPECT_EQ(0u, index.find(9));
	EXPECT_EQ(2u, index.find(10));
	EXPECT_EQ(0u, index.find(12));
}

TEST_F(PageIndexTest, TablesStayAndServeWhatComesNext)
{
	ASSERT_TRUE(fill(kHuge + 1, 5, 2));
	const uint32_t before = taken();
	clear(kHuge + 1, 5, 2);
	// Also what would have been one entry, had there been no table.
	EXPECT_TRUE(fill(kHuge, kHuge, 4));
	expect(kHuge, kHuge, 4);
	clear(kHuge, kHuge, 4);
	for (Entry e = 2; e < 100; e += 2) {
		ASSERT_TRUE(fill(kHuge + e, 1, e));
		ASSERT_EQ(e, index.find(kHuge + e));
		clear(kHuge + e, 1, e);
	}
	EXPECT_EQ(before, taken());
	index.for_each([](Pfn page, Pfn, Entry) { ADD_FAILURE() << page; });
}

TEST_F(PageIndexTest, APoolThatRunsOutIsToldAndTheRestIsFilled)
{
	while (pool.count() > 1)
		pool.take();
	given = 1;
	// One end needs the table, the chunk in the middle none.
	ASSERT_EQ(nullptr, index.find(1) ? this : nullptr);
	PageIndex small;
	small.init(memory.take(1), kHuge);
	EXPECT_FALSE(small.fill(kChunk - 1, 2 * kChunk + 1, 2, pool));
	EXPECT_EQ(0u, pool.count());
	EXPECT_EQ(nullptr, pool.take());
	EXPECT_EQ(2u, small.find(kChunk - 1));
	EXPECT_EQ(2u, small.find(kChunk));
	EXPECT_EQ(0u, small.find(2 * kChunk));
	pool.give(memory.take(1), 1);
	EXPECT_TRUE(small.fill(kChunk - 1, 2 * kChunk + 1, 2, pool)) << "completed";
	EXPECT_EQ(2u, small.find(2 * kChunk));
}

TEST_F(PageIndexTest, TakesGiveEachTableOnceAndZeroed)
{
	PageIndex::Pool own;
	std::set<const PageIndex::Table *> all, taken;
	const auto give = [&](unsigned n) {
		PageIndex::Table *tables = memory.take(n);
		for (unsigned i = 0; i < n; ++i)
			all.insert(&tables[i]);
		own.give(tables, n);
	};
	const auto take = [&] {
		const PageIndex::Table *t = own.take();
		ASSERT_NE(nullptr, t);
		EXPECT_TRUE(std::all_of(std::begin(t->slots), std::end(t->slots), [](const auto &slot) { return slot == 0; }));
		EXPECT_TRUE(taken.insert(t).second);
	};
	give(3);
	take();
	give(1);
	give(4);
	EXPECT_EQ(7u, own.count());
	own.keep(2);
	while (own.count() > 2)
		take();
	EXPECT_EQ(nullptr, own.take()) << "what is kept";
	own.keep(0);
	take();
	give(2);
	while (own.count() > 0)
		take();
	EXPECT_EQ(nullptr, own.take());
	EXPECT_EQ(all, taken);
}

TEST_F(PageIndexTest, FillsWhatIsEmptyBetweenOthers)
{
	ASSERT_TRUE(fill(kHuge + 3, 2, 2));
	ASSERT_TRUE(fill(kHuge + 9, 1, 4));
	EXPECT_FALSE(fill(kHuge, kChunk + 7, 6));
	expect(kHuge, 3, 6);
	expect(kHuge + 3, 2, 2);
	expect(kHuge + 5, 4, 6);
	expect(kHuge + 9, 1, 4);
	expect(kHuge + 10, kChunk - 3, 6);
	clear(kHuge, kChunk + 7, 6);
	EXPECT_EQ(0u, slots(6));
	EXPECT_EQ(3u, slots(2) + slots(4));
}

TEST_F(PageIndexTest, VisitsInOrder)
{
	ASSERT_TRUE(fill(kEnd - 2, 2, 8));
	ASSERT_TRUE(fill(1, 1, 2));
	ASSERT_TRUE(fill(kHuge, kHuge, 4));
	std::map<Pfn, Pfn> seen;
	Pfn last = 0;
	index.for_each([&](Pfn first, Pfn pages, Entry) {
		EXPECT_LT(last, first);
		last = first;
		seen[first] = pages;
	});
	EXPECT_EQ((std::map<Pfn, Pfn>{{1, 1}, {kHuge, kHuge}, {kEnd - 2, 1}, {kEnd - 1, 1}}), seen);
}

// Random spans over a map of pages.
TEST_F(PageIndexTest, AgreesWithAMap)
{
	constexpr Pfn kSpace = 3 * kChunk;
	for (uint64_t seed = 1; seed <= 20; ++seed) {
		SCOPED_TRACE(seed);
		Random random(seed);
		PageIndex tested;
		tested.init(memory.take(1), kSpace);
		pool.give(memory.take(16), 16);
		std::vector<Entry> model(kSpace);
		struct Span {
			Pfn first, end;
		};
		std::map<Entry, Span> live;
		for (Entry e = 2; e < 300; e += 2) {
			const Pfn first = random.below(kSpace), end = first + 1 + random.below(kSpace - first);
			bool all = true;
			for (Pfn p = first; p < end; ++p) {
				all &= model[p] == 0;
				model[p] = model[p] ? model[p] : e;
			}
			ASSERT_EQ(all, tested.fill(first, end, e, pool));
			live[e] = {first, end};
			if (random.below(3) != 0 && !live.empty()) {
				auto it = live.begin();
				std::advance(it, static_cast<long>(random.below(live.size())));
				for (Entry &of : model)
					of = of == it->first ? 0 : of;
				tested.clear(it->second.first, it->second.end, it->first);
				live.erase(it);
			}
			for (Pfn p = 0; p < kSpace; ++p)
				ASSERT_EQ(model[p], tested.find(p)) << p;
		}
	}
}

}  // namespace
}  // namespace iovad::core
