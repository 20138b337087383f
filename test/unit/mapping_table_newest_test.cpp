// SPDX-License-Identifier: BSD-3-Clause
// Lookups where buffers may be on their way out (prefer_newest()): of all that hold a page a
// region is found, else the newest buffer; whatever came and went. Beside a list.
#include <algorithm>

#include "mapping_table_fixture.h"
#include "random.h"

namespace iovad::core {
namespace {

class MappingTableNewest : public testing::Test {
protected:
	MappingTableNewest() { prefer_newest(); }
	void prefer_newest()
	{
		LockGuard guard(t.table.lock());
		t.table.prefer_newest();
	}
	// Pages from there; found by that number, which is an address.
	MappingRecord *add(uint64_t number, uint64_t page, uint64_t pages) { return t.add(number << 30, kVa + page * kPage, pages * kPage); }
	uint64_t who(uint64_t page) { return t.va2iova(kVa + page * kPage) >> 30; }

	Tables t;
};

TEST_F(MappingTableNewest, TheSamePagesEqualShorterLongerStaggered)
{
	MappingRecord *old = add(1, 10, 4);
	struct Case {
		uint64_t page, pages;
	};
	for (const Case &c : {Case{10, 4}, {11, 2}, {8, 10}, {8, 4}, {12, 5}}) {
		SCOPED_TRACE(testing::Message() << c.page << " +" << c.pages);
		MappingRecord *young = add(2, c.page, c.pages);
		for (uint64_t page = 6; page < 20; ++page) {
			const bool in_young = page - c.page < c.pages, in_old = page - 10 < 4;
			EXPECT_EQ(in_young ? 2 : in_old ? 1 : 0, who(page)) << page;
		}
		EXPECT_TRUE(t.verify());
		t.remove(young);
		for (uint64_t page = 10; page < 14; ++page)
			EXPECT_EQ(1u, who(page));
	}
	t.remove(old);
}

TEST_F(MappingTableNewest, TheOldOneGoes)
{
	MappingRecord *old = add(1, 10, 6), *young = add(2, 12, 6);
	t.remove(old);
	EXPECT_EQ(0u, who(11));
	for (uint64_t page = 12; page < 18; ++page)
		EXPECT_EQ(2u, who(page));
	t.remove(young);
}

// It was an older one, where the two lay in different buckets.
TEST_F(MappingTableNewest, WhenTheNewestGoesTheNextNewestIsFound)
{
	struct Case {
		const char *what;
		uint64_t old_page, old_pages, next_page, next_pages;
	};
	const Case cases[] = {{"the same", 511, 2, 511, 2},
			      {"old in the bucket above", 512, 1, 511, 2},
			      {"old in the bucket below", 511, 2, 512, 1},
			      {"a small old one and a large", 600, 2, 512, 513},
			      {"a large old one and a small", 512, 513, 600, 2}};
	for (const Case &c : cases) {
		SCOPED_TRACE(c.what);
		MappingRecord *old = add(1, c.old_page, c.old_pages), *next = add(2, c.next_page, c.next_pages);
		MappingRecord *young = add(3, 500, 200);
		const uint64_t both = std::max(c.old_page, c.next_page);
		EXPECT_EQ(3u, who(both));
		t.remove(young);
		EXPECT_EQ(2u, who(both));
		EXPECT_TRUE(t.verify());
		t.remove(next);
		EXPECT_EQ(1u, who(both));
		t.remove(old);
	}
}

TEST_F(MappingTableNewest, ARegionIsFoundWhateverElseIsThere)
{
	MappingRecord *before = add(1, 8, 4), *region = t.add_region(uint64_t{2} << 30, kVa + 10 * kPage, 10 * kPage);
	MappingRecord *inside = add(3, 12, 2), *after = add(4, 18, 6), *around = add(5, 6, 20);
	for (uint64_t page = 10; page < 20; ++page)
		EXPECT_EQ(2u, who(page)) << page;
	EXPECT_TRUE(t.verify());
	EXPECT_EQ(5u, t.va2iova(kVa + 6 * kPage, 20 * kPage) >> 30);
	t.remove(around);
	EXPECT_EQ(4u, t.va2iova(kVa + 18 * kPage, 6 * kPage) >> 30) << "by its last page";
	EXPECT_EQ(1u, who(9));
	t.remove(region);
	EXPECT_EQ(1u, who(10));
	EXPECT_EQ(3u, who(12));
	EXPECT_EQ(0u, who(16));
	EXPECT_EQ(4u, who(18));
	t.remove(before);
	t.remove(inside);
	t.remove(after);
}

// In a domain that unmaps lazily by the call.
TEST(MappingTableNewestLate, FromTheFirstDeferredOneOn)
{
	Tables t;
	MappingRecord *old = t.add(uint64_t{1} << 30, kVa, 8 * kPage), *young = t.add(uint64_t{2} << 30, kVa + kPage, kPage);
	EXPECT_EQ(1u, t.va2iova(kVa + kPage) >> 30) << "the longer";
	{
		LockGuard guard(t.table.lock());
		t.table.prefer_newest();
	}
	EXPECT_EQ(2u, t.va2iova(kVa + kPage) >> 30);
	EXPECT_EQ(1u, t.va2iova(kVa + 2 * kPage) >> 30);
	EXPECT_TRUE(t.verify());
	t.remove(young);
	EXPECT_EQ(1u, t.va2iova(kVa + kPage) >> 30);
	t.remove(old);
}

TEST(MappingTableNewestModel, AgreesWithAList)
{
	constexpr uint64_t kPages = 1300;  // three of the larger buckets
	struct Buffer {
		MappingRecord *record;
		uint64_t number, first, end;
	};
	for (uint64_t seed = 1; seed <= 24; ++seed) {
		SCOPED_TRACE(testing::Message() << "seed " << seed);
		Random random(seed);
		Tables t;
		std::vector<Buffer> list;  // by age
		const uint64_t late = seed % 4 == 0 ? 60 : 0;
		for (uint64_t step = 0; step < 300; ++step) {
			if (step == late) {
				LockGuard guard(t.table.lock());
				t.table.prefer_newest();
			}
			if (list.size() < 30 && random.below(2) == 0) {
				// Around the border of two buckets, most of them.
				const uint64_t pages = 1 + random.below(random.below(5) == 0 ? 700 : 6);
				const uint64_t first = random.below(3) == 0 ? random.below(kPages - pages) : 505 + random.below(10);
				list.push_back({t.add((step + 1) << 30, kVa + first * kPage, pages * kPage), step + 1, first, first + pages});
			} else if (!list.empty()) {
				const auto gone = list.begin() + static_cast<long>(random.below(list.size()));
				t.remove(gone->record);
				list.erase(gone);
			}
			ASSERT_TRUE(t.verify());
			if (step < late)
				continue;
			for (uint64_t page = 0; page < kPages; page += page - 495 < 40 ? 1 : 7) {
				uint64_t want = 0;
				for (const Buffer &b : list)
					want = b.first <= page && page < b.end ? b.number : want;
				ASSERT_EQ(want, t.va2iova(kVa + page * kPage) >> 30) << page;
			}
			for (const Buffer &b : list) {
				const auto all = t.by_va(kVa + b.first * kPage, (b.end - b.first) * kPage);
				const bool newest = std::none_of(list.begin(), list.end(), [&](const Buffer &o) {
					return o.number > b.number && o.first < b.end && b.first < o.end;
				});
				if (newest) {
					ASSERT_TRUE(all);
					ASSERT_EQ(b.number, all->iova >> 30);
				}
			}
		}
		while (!list.empty()) {
			t.remove(list.back().record);
			list.pop_back();
		}
	}
}

}  // namespace
}  // namespace iovad::core
