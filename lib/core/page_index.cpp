// SPDX-License-Identifier: BSD-3-Clause
#include "core/page_index.h"

#include <algorithm>
#include <bit>
#include <new>

namespace iovad::core {

void PageIndex::Pool::give(Table *tables, unsigned n)
{
	for (unsigned i = 0; i < n; ++i) {
		tables[i].slots[0].store(reinterpret_cast<Entry>(free_), std::memory_order_relaxed);
		free_ = &tables[i];
	}
	count_ += n;
}

PageIndex::Table *PageIndex::Pool::take()
{
	Table *table = free_;
	if (!table)
		return nullptr;
	free_ = reinterpret_cast<Table *>(table->slots[0].load(std::memory_order_relaxed));
	table->slots[0].store(0, std::memory_order_relaxed);
	--count_;
	return table;
}

void PageIndex::init(Table *root, Pfn end)
{
	root_ = root;
	end_ = end;
	const unsigned bits = std::max(static_cast<unsigned>(std::bit_width(end - 1)), 1u);
	top_shift_ = (bits - 1) / kBits * kBits;
}

namespace {

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

}  // namespace

bool PageIndex::fill(Table &table, unsigned shift, Pfn first, Pfn end, Entry e, Pool &pool)
{
	const Pfn pages = Pfn{1} << shift;
	bool all = true;
	for (Pfn page = first & ~(pages - 1); page < end; page += pages) {
		const Part part(page, pages, first, end);
		std::atomic<Entry> &slot = table.slots[page >> shift & kMask];
		const Entry old = slot.load(std::memory_order_relaxed);
		if (is_table(old)) {
			all &= fill(*to_table(old), shift - kBits, part.first, part.end, e, pool);
		} else if (old != 0) {
			all &= old == e;
		} else if (part.whole) {
			// Release pairs with the acquire in find().
			slot.store(e, std::memory_order_release);
		} else if (Table *below = pool.take()) {
			all &= fill(*below, shift - kBits, part.first, part.end, e, pool);
			slot.store(reinterpret_cast<Entry>(below) | 1, std::memory_order_release);
		} else {
			all = false;
		}
	}
	return all;
}

void PageIndex::clear(Table &table, unsigned shift, Pfn first, Pfn end, Entry e)
{
	const Pfn pages = Pfn{1} << shift;
	for (Pfn page = first & ~(pages - 1); page < end; page += pages) {
		const Part part(page, pages, first, end);
		std::atomic<Entry> &slot = table.slots[page >> shift & kMask];
		const Entry old = slot.load(std::memory_order_relaxed);
		if (is_table(old))
			clear(*to_table(old), shift - kBits, part.first, part.end, e);
		else if (old == e)
			slot.store(0, std::memory_order_relaxed);
	}
}

}  // namespace iovad::core
