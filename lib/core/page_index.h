// SPDX-License-Identifier: BSD-3-Clause
// From a page to what covers it: a radix tree of 512-way tables, as an MMU has it, in which
// an entry on a higher level covers all pages below. Lookups are wait-free, beside one
// writer at a time. Tables that became empty stay where they are: a reader may be in them,
// and the same addresses come again. A plain struct in shared memory.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/range_tree/node.h"

namespace iovad::core {

class PageIndex {
public:
	static constexpr unsigned kBits = 9;

	// 0: nothing. Else the user's: not 0, even.
	using Entry = uint64_t;

	struct alignas(64) Table {
		std::atomic<Entry> slots[1u << kBits];
	};

	// Tables that are not in use yet. Filled by whoever has memory; see MappingTable.
	class Pool {
	public:
		// n > 0, zeroed.
		void give(Table *tables, unsigned n);
		// A zeroed one. Null: no more than are kept.
		Table *take();
		uint32_t count() const { return count_; }
		// So many are not to be taken.
		void keep(uint32_t n) { kept_ = n; }

	private:
		// Slots of the first table of a run. The others are not touched: cold memory, a page each.
		static constexpr unsigned kNextRun = 0, kLeft = 1;

		Table *runs_ = nullptr;
		uint32_t count_ = 0, kept_ = 0;
	};

	// The most tables that one fill() can take: below the root, along both ends.
	static constexpr unsigned kMostTables = 2 * 6;

	// For pages below end. root: zeroed.
	void init(Table *root, Pfn end);

	bool holds(Pfn page) const { return page < end_; }

	// What covers the page, which must be below the end.
	Entry find(Pfn page) const
	{
		const Table *table = root_;
		for (unsigned shift = top_shift_;; shift -= kBits) {
			// Acquire pairs with the release in fill(): what the entry speaks of was written.
			const Entry e = table->slots[page >> shift & kMask].load(std::memory_order_acquire);
			if (!is_table(e))
				return e;
			table = to_table(e);
		}
	}

	// e covers the pages of [first, end) that nothing covers, or what yields(it) covers. True:
	// e covers all of them. False: something else covers some, or the pool ran out of tables.
	template <class Yields> bool fill(Pfn first, Pfn end, Entry e, Pool &pool, Yields yields)
	{
		return fill(*root_, top_shift_, first, end, e, pool, yields);
	}
	bool fill(Pfn first, Pfn end, Entry e, Pool &pool)
	{
		return fill(first, end, e, pool, [](Entry) { return false; });
	}
	// Nothing covers the pages of [first, end) that e covered.
	void clear(Pfn first, Pfn end, Entry e) { clear(*root_, top_shift_, first, end, e); }

	// e covers some of [first, end).
	bool has(Pfn first, Pfn end, Entry e) const { return has(*root_, top_shift_, first, end, e); }

	// visit(first page, pages, entry) for each slot that covers something, ascending.
	template <class Visit> void for_each(Visit visit) const { for_each(*root_, top_shift_, 0, visit); }

private:
	static constexpr uint64_t kMask = (1u << kBits) - 1;

	static bool is_table(Entry e) { return e & 1; }
	static Table *to_table(Entry e) { return reinterpret_cast<Table *>(e - 1); }

	// The part of [first, end) that a slot covers.
	struct Part {
		Pfn first, end;
		bool whole;

		Part(Pfn slot_first, Pfn pages, Pfn first_page, Pfn end_page)
			: first(std::max(slot_first, first_page)), end(std::min(slot_first + pages, end_page)),
			  whole(end - first == pages)
		{
		}
	};

	template <class Yields>
	static bool fill(Table &table, unsigned shift, Pfn first, Pfn end, Entry e, Pool &pool, const Yields &yields);
	static uint64_t fill_empty(std::atomic<Entry> *slots, uint64_t n, Entry e);
	template <class Visit>
	static void for_each(const Table &table, unsigned shift, Pfn first, const Visit &visit);
	static void clear(Table &table, unsigned shift, Pfn first, Pfn end, Entry e);
	static bool has(const Table &table, unsigned shift, Pfn first, Pfn end, Entry e);

	Table *root_ = nullptr;
	Pfn end_ = 0;
	unsigned top_shift_ = 0;
};

// Of n slots those before the first that is not empty; returns how many. A loop of its own, since a large
// region has hundreds.
inline uint64_t PageIndex::fill_empty(std::atomic<Entry> *slots, uint64_t n, Entry e)
{
	uint64_t i = 0;
	// Release pairs with the acquire in find().
	for (; i < n && slots[i].load(std::memory_order_relaxed) == 0; ++i)
		slots[i].store(e, std::memory_order_release);
	return i;
}

template <class Yields>
bool PageIndex::fill(Table &table, unsigned shift, Pfn first, Pfn end, Entry e, Pool &pool, const Yields &yields)
{
	const Pfn pages = Pfn{1} << shift;
	bool all = true;
	for (Pfn page = first & ~(pages - 1); page < end; page += pages) {
		if (page >= first)
			page += fill_empty(&table.slots[page >> shift & kMask], (end - page) >> shift, e) << shift;
		if (page >= end)
			break;
		const Part part(page, pages, first, end);
		std::atomic<Entry> &slot = table.slots[page >> shift & kMask];
		const Entry old = slot.load(std::memory_order_relaxed);
		if (is_table(old)) {
			all &= fill(*to_table(old), shift - kBits, part.first, part.end, e, pool, yields);
		} else if (old == e) {
			continue;
		} else if (old != 0 && !yields(old)) {
			all = false;
		} else if (part.whole) {
			// Release pairs with the acquire in find().
			slot.store(e, std::memory_order_release);
		} else if (Table *below = pool.take()) {
			// What yields does so for this part only.
			if (old != 0) {
				for (std::atomic<Entry> &each : below->slots)
					each.store(old, std::memory_order_relaxed);
			}
			all &= fill(*below, shift - kBits, part.first, part.end, e, pool, yields);
			slot.store(reinterpret_cast<Entry>(below) | 1, std::memory_order_release);
		} else {
			all = false;
		}
	}
	return all;
}

template <class Visit>
void PageIndex::for_each(const Table &table, unsigned shift, Pfn first, const Visit &visit)
{
	const Pfn pages = Pfn{1} << shift;
	for (const std::atomic<Entry> &slot : table.slots) {
		const Entry e = slot.load(std::memory_order_acquire);
		if (is_table(e))
			for_each(*to_table(e), shift - kBits, first, visit);
		else if (e != 0)
			visit(first, pages, e);
		first += pages;
	}
}

}  // namespace iovad::core
