// SPDX-License-Identifier: BSD-3-Clause
#include "core/page_index.h"

#include <bit>

namespace iovad::core {

void PageIndex::Pool::give(Table *tables, unsigned n)
{
	tables->slots[kNextRun].store(reinterpret_cast<Entry>(runs_), std::memory_order_relaxed);
	tables->slots[kLeft].store(n, std::memory_order_relaxed);
	runs_ = tables;
	count_ += n;
}

// The last of the run, so that what is left begins where it did.
PageIndex::Table *PageIndex::Pool::take()
{
	if (count_ <= kept_)
		return nullptr;
	--count_;
	Table *run = runs_;
	const Entry left = run->slots[kLeft].load(std::memory_order_relaxed) - 1;
	run->slots[kLeft].store(left, std::memory_order_relaxed);
	if (left != 0)
		return run + left;
	runs_ = reinterpret_cast<Table *>(run->slots[kNextRun].load(std::memory_order_relaxed));
	run->slots[kNextRun].store(0, std::memory_order_relaxed);
	return run;
}

void PageIndex::init(Table *root, Pfn end)
{
	root_ = root;
	end_ = end;
	const unsigned bits = std::max(static_cast<unsigned>(std::bit_width(end - 1)), 1u);
	top_shift_ = (bits - 1) / kBits * kBits;
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

bool PageIndex::has(const Table &table, unsigned shift, Pfn first, Pfn end, Entry e)
{
	const Pfn pages = Pfn{1} << shift;
	for (Pfn page = first & ~(pages - 1); page < end; page += pages) {
		const Part part(page, pages, first, end);
		const Entry slot = table.slots[page >> shift & kMask].load(std::memory_order_relaxed);
		if (slot == e || (is_table(slot) && has(*to_table(slot), shift - kBits, part.first, part.end, e)))
			return true;
	}
	return false;
}

}  // namespace iovad::core
