// SPDX-License-Identifier: BSD-3-Clause
// The table of mappings, case by case.
#include <vector>

#include "mapping_table_fixture.h"
#include "random.h"

namespace iovad::core {
namespace {

class MappingTableTest : public testing::Test {
protected:
	Tables t;
};

TEST_F(MappingTableTest, FindsWhatWasAdded)
{
	MappingRecord *r = t.add(0x10000, kVa, 3 * kPage, 1);
	for (const uint64_t offset : {uint64_t{0}, uint64_t{5}, 3 * kPage - 1}) {
		ASSERT_TRUE(t.by_iova(0x10000 + offset));
		EXPECT_EQ(kVa, t.by_iova(0x10000 + offset)->va);
		EXPECT_EQ(0x10000 + offset, t.va2iova(kVa + offset));
	}
	EXPECT_EQ(3 * kPage, t.by_iova(0x10000)->len);
	EXPECT_EQ(1u, t.by_iova(0x10000)->dir);
	EXPECT_TRUE(t.verify());
	t.remove(r);
	EXPECT_FALSE(t.by_iova(0x10000));
	EXPECT_FALSE(t.by_va(kVa));
	EXPECT_EQ(0u, t.table.live());
}

TEST_F(MappingTableTest, LengthsAreHeldToTheByte)
{
	MappingRecord *r = t.add(0x10000, kVa, 3 * kPage);
	EXPECT_TRUE(t.by_iova(0x10001, 3 * kPage - 1));
	EXPECT_FALSE(t.by_iova(0x10001, 3 * kPage));
	EXPECT_FALSE(t.by_iova(0xffff, 2));
	EXPECT_FALSE(t.by_iova(0x10000, ~uint64_t{0}));
	EXPECT_TRUE(t.by_va(kVa + 1, 3 * kPage - 1));
	EXPECT_FALSE(t.by_va(kVa + 1, 3 * kPage));
	EXPECT_FALSE(t.by_va(kVa - 1, 2));
	EXPECT_FALSE(t.by_va(kVa, ~uint64_t{0})) << "wraps";
	t.remove(r);
}

TEST_F(MappingTableTest, AddressesBeyondTheEnds)
{
	for (const uint64_t address : {uint64_t{1} << 48, uint64_t{1} << 57, ~uint64_t{0}}) {
		EXPECT_FALSE(t.by_iova(address));
		EXPECT_FALSE(t.by_va(address));
		EXPECT_FALSE(t.by_va(address, 2));
		EXPECT_EQ(nullptr, t.table.record_at(address));
	}
	const uint64_t last = (uint64_t{1} << 48) - kPage;
	MappingRecord *r = t.add(last, last, kPage);
	EXPECT_EQ(last + 5, t.va2iova(last + 5));
	EXPECT_FALSE(t.by_va(last + 5, kPage)) << "ends beyond";
	t.remove(r);
}

TEST_F(MappingTableTest, RecordsRunOutAndComeBack)
{
	Tables few(3);
	MappingRecord *r[3];
	for (unsigned i = 0; i < 3; ++i)
		r[i] = few.add(0x10000 + i * kPage, kVa + i * kPage, kPage);
	EXPECT_EQ(nullptr, few.take());
	few.remove(r[1]);
	MappingRecord *again = few.add(0x40000, kVa, kPage);
	EXPECT_EQ(again, r[1]);
	for (MappingRecord *record : {r[0], r[2], again})
		few.remove(record);
}

TEST_F(MappingTableTest, ARecordThatIsGivenBackUnusedChangesNothing)
{
	MappingRecord *r = t.take();
	{
		LockGuard guard(t.table.lock());
		EXPECT_EQ(1u, t.table.live());
	}
	EXPECT_TRUE(t.verify());
	LockGuard guard(t.table.lock());
	t.table.give_back(r);
	EXPECT_EQ(0u, t.table.live());
}

TEST_F(MappingTableTest, TablesAreHeldReadyForEveryRecordTaken)
{
	std::vector<MappingRecord *> taken;
	LockGuard guard(t.table.lock());
	EXPECT_FALSE(t.table.has_tables());
	IndexTables memory;
	for (unsigned i = 1; i <= 4; ++i) {
		t.table.give_tables(memory.take(MappingTable::kTablesNeeded), MappingTable::kTablesNeeded);
		EXPECT_TRUE(t.table.has_tables());
		taken.push_back(t.table.take());
		EXPECT_FALSE(t.table.has_tables()) << "what is there is promised";
	}
	for (MappingRecord *r : taken)
		t.table.give_back(r);
	EXPECT_TRUE(t.table.has_tables());
	// This memory goes before the table does, which never used it.
	while (t.table.has_tables())
		taken.push_back(t.table.take());
	for (MappingRecord *r : taken)
		if (r->pending)
			t.table.give_back(r);
}

// ---- overlapping ----

TEST_F(MappingTableTest, OfEqualMappingsTheOlderIsFoundAndTheOtherTakesItsPlace)
{
	MappingRecord *first = t.add(0x10000, kVa, 2 * kPage), *second = t.add(0x20000, kVa, 2 * kPage);
	EXPECT_EQ(0x10000u, t.va2iova(kVa));
	EXPECT_EQ(kVa, t.by_iova(0x20000)->va);
	EXPECT_TRUE(t.verify());
	t.remove(first);
	EXPECT_EQ(0x21000u, t.va2iova(kVa + kPage));
	EXPECT_TRUE(t.verify());
	t.remove(second);
	EXPECT_FALSE(t.by_va(kVa));
}

TEST_F(MappingTableTest, RemovingAShadowedOneLeavesTheOther)
{
	MappingRecord *first = t.add(0x10000, kVa, 2 * kPage), *second = t.add(0x20000, kVa, 2 * kPage);
	t.remove(second);
	EXPECT_EQ(0x10000u, t.va2iova(kVa, 2 * kPage));
	t.remove(first);
}

TEST_F(MappingTableTest, NeighboursThatShareAPageAreBothFound)
{
	MappingRecord *first = t.add(0x10000, kVa, 2 * kPage), *second = t.add(0x20000, kVa + kPage, 2 * kPage);
	EXPECT_EQ(0x10000u, t.va2iova(kVa, 2 * kPage));
	EXPECT_EQ(0x20000u, t.va2iova(kVa + kPage, 2 * kPage)) << "by its last page";
	EXPECT_EQ(0u, t.va2iova(kVa, 3 * kPage)) << "in no one mapping";
	EXPECT_TRUE(t.verify());
	t.remove(first);
	EXPECT_EQ(0x20000u, t.va2iova(kVa + kPage));
	EXPECT_FALSE(t.by_va(kVa));
	t.remove(second);
}

// Small buffers that were mapped before, at both ends: what holds them is found all the same.
TEST_F(MappingTableTest, ALongerOneIsFoundWhateverIsMappedInside)
{
	for (const uint64_t len : {5 * kPage, 4 * k2M}) {
		MappingRecord *head = t.add(0x1000000, kVa, kPage), *tail = t.add(0x1010000, kVa + len - kPage, kPage);
		MappingRecord *all = t.add(0x2000000, kVa, len);
		EXPECT_EQ(0x2000000u, t.va2iova(kVa, len));
		EXPECT_EQ(0x2000000u, t.va2iova(kVa, kPage));
		EXPECT_TRUE(t.verify());
		MappingRecord *inside = t.add(0x1020000, kVa + kPage, kPage);
		EXPECT_EQ(0x2000000u, t.va2iova(kVa, len));
		t.remove(tail);
		EXPECT_EQ(0x2000000u, t.va2iova(kVa, len));
		t.remove(all);
		EXPECT_EQ(0x1000000u, t.va2iova(kVa)) << "shadowed ones come back";
		EXPECT_EQ(0x1020000u, t.va2iova(kVa + kPage));
		EXPECT_FALSE(t.by_va(kVa + len - kPage));
		EXPECT_TRUE(t.verify());
		t.remove(head);
		t.remove(inside);
	}
}

TEST_F(MappingTableTest, RussianDolls)
{
	constexpr unsigned kDolls = 6;
	for (uint64_t seed = 1; seed <= 40; ++seed) {
		SCOPED_TRACE(seed);
		Random random(seed);
		MappingRecord *doll[kDolls] = {};
		for (unsigned step = 0; step < 60; ++step) {
			const unsigned i = static_cast<unsigned>(random.below(kDolls));
			// The middle one of five times the last one's length.
			uint64_t len = kPage;
			for (unsigned k = 0; k < i; ++k)
				len *= 5;
			const uint64_t va = kVa - len / 2 + kPage / 2;
			if (doll[i])
				t.remove(std::exchange(doll[i], nullptr));
			else
				doll[i] = t.add((i + 1) * uint64_t{0x10000000}, va, len);
			ASSERT_TRUE(t.verify());
			unsigned outermost = kDolls;
			while (outermost-- > 0 && !doll[outermost])
				;
			ASSERT_EQ(outermost == ~0u ? 0 : outermost + 1, t.va2iova(kVa) >> 28);
		}
		for (MappingRecord *r : doll)
			if (r)
				t.remove(r);
	}
}

TEST_F(MappingTableTest, ShadowedOnesOfAnyLengthComeBackFromBothSides)
{
	// Longer than a bucket, in the bucket before, in the last of it.
	MappingRecord *top = t.add(uint64_t{1} << 40, kVa - 8 * k2M, 16 * k2M);
	MappingRecord *below[] = {t.add(0x100000000, kVa - 4 * k2M, 8 * k2M), t.add(0x200000000, kVa - 5 * kPage, 10 * kPage),
				  t.add(0x300000000, kVa - 8 * k2M, kPage), t.add(0x400000000, kVa + 8 * k2M - kPage, kPage)};
	EXPECT_EQ(uint64_t{1} << 40, t.va2iova(kVa - 8 * k2M, 16 * k2M));
	t.remove(top);
	EXPECT_TRUE(t.verify());
	EXPECT_EQ(0x100000000u, t.va2iova(kVa - 4 * k2M));
	EXPECT_EQ(0x300000000u, t.va2iova(kVa - 8 * k2M));
	EXPECT_EQ(0x400000000u, t.va2iova(kVa + 8 * k2M - kPage));
	t.remove(below[0]);
	EXPECT_EQ(0x200000000u, t.va2iova(kVa - 5 * kPage, 10 * kPage));
	for (unsigned i = 1; i < 4; ++i)
		t.remove(below[i]);
}

TEST_F(MappingTableTest, SharesTheSamePagesForTheSameUseOnly)
{
	MappingRecord *r = t.add(0x100000, kVa, 4 * kPage, 3);
	t.table.lock().lock();
	EXPECT_EQ(r, t.table.shareable(kVa, 4 * kPage, 3, ~uint64_t{0}));
	EXPECT_EQ(r, t.table.shareable(kVa, 4 * kPage, 3, 0x103fff));
	EXPECT_EQ(nullptr, t.table.shareable(kVa, 4 * kPage, 3, 0x103ffe));
	EXPECT_EQ(nullptr, t.table.shareable(kVa, 4 * kPage, 1, ~uint64_t{0})) << "rights would last too long";
	EXPECT_EQ(nullptr, t.table.shareable(kVa, 3 * kPage, 3, ~uint64_t{0})) << "the last page may go";
	t.table.lock().unlock();
	t.remove(r);
}

TEST_F(MappingTableTest, SharesWhatARegionHoldsAllowsAndReachesNoHigher)
{
	MappingRecord *r = t.add(0x100000, kVa, 4 * kPage, 1, true);
	LockGuard guard(t.table.lock());
	EXPECT_EQ(r, t.table.shareable(kVa, 4 * kPage, 1, ~uint64_t{0}));
	EXPECT_EQ(r, t.table.shareable(kVa + 3 * kPage, kPage, 1, ~uint64_t{0}));
	EXPECT_EQ(nullptr, t.table.shareable(kVa + 3 * kPage, 2 * kPage, 1, ~uint64_t{0}));
	EXPECT_EQ(nullptr, t.table.shareable(kVa - kPage, 2 * kPage, 1, ~uint64_t{0}));
	EXPECT_EQ(nullptr, t.table.shareable(kVa, kPage, 2, ~uint64_t{0}));
	EXPECT_EQ(nullptr, t.table.shareable(kVa, kPage, 3, ~uint64_t{0}));
	EXPECT_EQ(r, t.table.shareable(kVa, kPage, 1, 0x100fff));
	EXPECT_EQ(nullptr, t.table.shareable(kVa, kPage, 1, 0x100ffe));
	EXPECT_EQ(nullptr, t.table.shareable(kVa + kPage, kPage, 1, 0x101ffe)) << "it is that part that counts";
	t.table.lock().unlock();
	t.remove(r);
	t.table.lock().lock();
}

TEST_F(MappingTableTest, SharesShadowedOnesToo)
{
	MappingRecord *read = t.add(0x100000, kVa, 4 * kPage, 1, true), *write = t.add(0x200000, kVa, 4 * kPage, 2, true);
	MappingRecord *low = t.add_region(0x10000, kVa, 2 * kPage);
	t.table.lock().lock();
	EXPECT_EQ(read, t.table.shareable(kVa, kPage, 1, ~uint64_t{0}));
	EXPECT_EQ(write, t.table.shareable(kVa, 3 * kPage, 2, ~uint64_t{0}));
	EXPECT_EQ(low, t.table.shareable(kVa, kPage, 3, ~uint64_t{0}));
	EXPECT_EQ(low, t.table.shareable(kVa, kPage, 1, 0x1ffff));
	EXPECT_EQ(nullptr, t.table.shareable(kVa, 3 * kPage, 3, ~uint64_t{0}));
	t.table.lock().unlock();
	for (MappingRecord *r : {read, write, low})
		t.remove(r);
}

// The one that goes covers a slot of a higher level, of which its heir needs a part only.
TEST_F(MappingTableTest, WhoeverLacksTablesIsFoundWhenTheyCome)
{
	for (const bool hungry : {false, true}) {
		IndexTables memory;
		Tables own;
		MappingRecord *old = own.add(0x40000000, kVa, 4 * k2M);
		MappingRecord *heir = own.add(0x80000000, kVa - kPage, k2M + 5 * kPage);
		std::vector<MappingRecord *> pending;
		own.table.lock().lock();
		while (hungry && own.table.has_tables())
			pending.push_back(own.table.take());
		// To the last one.
		while (hungry && !own.table.has_tables())
			own.table.give_tables(memory.take(1), 1);
		if (hungry)
			pending.push_back(own.table.take());
		own.table.remove(old);
		EXPECT_EQ(hungry, own.table.starved());
		own.table.give_back(old);
		EXPECT_EQ(Status::ok, own.space.free(0x40000000 / kPage, 4 * k2M / kPage, kLive));
		own.table.lock().unlock();
		EXPECT_TRUE(own.verify());
		EXPECT_EQ(0x80000000u, own.va2iova(kVa - kPage));
		EXPECT_EQ(0x80001000u, own.va2iova(kVa)) << "a whole slot needs none";
		EXPECT_EQ(hungry ? 0 : 0x80001000u + k2M, own.va2iova(kVa + k2M));
		own.table.lock().lock();
		own.table.give_tables(memory.take(64), 64);
		EXPECT_FALSE(own.table.starved());
		own.table.lock().unlock();
		EXPECT_EQ(0x80001000u, own.va2iova(kVa));
		EXPECT_EQ(0x80001000u + k2M, own.va2iova(kVa + k2M));
		EXPECT_FALSE(own.by_va(kVa + k2M + 4 * kPage));
		EXPECT_TRUE(own.verify());
		own.remove(heir);
		own.table.lock().lock();
		for (MappingRecord *r : pending)
			own.table.give_back(r);
		own.table.lock().unlock();
		EXPECT_TRUE(own.verify());
	}
}

TEST_F(MappingTableTest, VerifySeesWhatIsWrong)
{
	MappingRecord *r = t.add(0x100000, kVa, 2 * kPage);
	ASSERT_TRUE(t.verify());
	const auto broken = [&](auto change, auto repair) {
		change();
		EXPECT_FALSE(t.verify(nullptr));
		repair();
		EXPECT_TRUE(t.verify());
	};
	broken([&] { r->len = kPage; }, [&] { r->len = 2 * kPage; });
	broken([&] { r->va = kVa + kPage; }, [&] { r->va = kVa; });
	broken([&] { r->generation = 7; }, [&] { r->generation = 0; });
	broken([&] { r->whole = 0; }, [&] { r->whole = 1; });
	broken([&] { r->padding = 1; }, [&] { r->padding = 0; });
	broken([&] { r->shadowed = true; }, [&] { r->shadowed = false; });
	broken([&] { r->pending = true; }, [&] { r->pending = false; });
	ASSERT_EQ(Status::ok, t.space.free(0x100, 2, kLive));
	EXPECT_FALSE(t.verify(nullptr)) << "mapped where nothing is live";
	Pfn at;
	Status status;
	ASSERT_EQ(1u, t.space.alloc_run(2, 1, 0x101, kLive, &at, 1, status));
	t.remove(r);
}

}  // namespace
}  // namespace iovad::core
