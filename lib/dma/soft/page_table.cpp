// SPDX-License-Identifier: BSD-3-Clause
#include "dma/soft/page_table.h"

#include <algorithm>
#include <bit>

namespace iovad::dma::soft {

namespace {

// The level of the root: the lowest whose table covers the address bits, 1 GiB leaves
// included.
unsigned top_level(unsigned address_bits)
{
	unsigned level = kLeafLevels - 1;
	while (level_shift(level) + kEntryBits < address_bits)
		++level;
	return level;
}

}  // namespace

PageTable::PageTable(unsigned address_bits, uint64_t page_sizes, uint64_t most_tables)
	: top_(top_level(address_bits)), page_sizes_(page_sizes), pool_(most_tables)
{
	lowest_ = (static_cast<unsigned>(std::countr_zero(page_sizes)) - kPageShift) / kEntryBits;
}

bool PageTable::make_root()
{
	if (!pool_.reserve(1))
		return false;
	root_ = &pool_.take();
	return true;
}

// Whether this part of a range, which lies under one entry of that level, is one leaf.
bool PageTable::is_leaf(unsigned level, const Range &r) const
{
	const uint64_t size = level_size(level);
	return (page_sizes_ & size) != 0 && level < kLeafLevels && r.len == size &&
	       (r.va & (size - 1)) == 0;
}

// visit(index, the part of the range under that entry)
template <class Visit> void PageTable::for_each_entry(unsigned level, Range r, Visit visit)
{
	const uint64_t size = level_size(level);
	while (r.len != 0) {
		const uint64_t n = std::min(r.len, size - (r.iova & (size - 1)));
		visit(static_cast<unsigned>(r.iova >> level_shift(level)) & (kEntries - 1),
		      Range{r.iova, r.va, n});
		r = {r.iova + n, r.va + n, r.len - n};
	}
}

// How many tables fill() will take. No table: there is none yet at this place.
uint64_t PageTable::missing(const Table *table, unsigned level, Range r) const
{
	if (level == lowest_)
		return 0;
	uint64_t n = 0;
	for_each_entry(level, r, [&](unsigned i, Range part) {
		if (is_leaf(level, part))
			return;
		const Entry e = table ? table->get(i) : Entry();
		n += e.empty() + missing(e.empty() ? nullptr : &e.table(), level - 1, part);
	});
	return n;
}

bool PageTable::map(uint64_t iova, uint64_t va, uint64_t len, uint64_t access)
{
	const Range r{iova, va, len};
	if (!pool_.reserve(missing(root_, top_, r)))
		return false;
	fill(*root_, top_, r, access);
	return true;
}

// Returns how many entries of this table are used that were empty.
unsigned PageTable::fill(Table &table, unsigned level, Range r, uint64_t access)
{
	unsigned taken = 0;
	for_each_entry(level, r, [&](unsigned i, Range part) {
		if (is_leaf(level, part)) {
			table.set(i, Entry::leaf(part.va, access));
			++leaves_[level];
			++taken;
			return;
		}
		const Entry old = table.get(i);
		Table &below = old.empty() ? pool_.take() : old.table();
		const unsigned more = fill(below, level - 1, part, access);
		// Not where the count stays: the line is in the caches of those that walk.
		if (more != 0)
			table.set(i, Entry::link(below, old.used() + more));
		taken += old.empty();
	});
	return taken;
}

void PageTable::unmap(uint64_t iova, uint64_t len)
{
	const uint64_t before = pool_.taken();
	clear(*root_, top_, {iova, 0, len});
	// Release pairs with find().
	if (pool_.taken() != before)
		recycled_.fetch_add(1, std::memory_order_release);
}

// Returns how many entries of this table became empty.
unsigned PageTable::clear(Table &table, unsigned level, Range r)
{
	unsigned emptied = 0;
	for_each_entry(level, r, [&](unsigned i, Range part) {
		const Entry old = table.get(i);
		if (old.is_leaf()) {
			table.set(i, Entry());
			--leaves_[level];
			++emptied;
			return;
		}
		Table &below = old.table();
		const unsigned fewer = clear(below, level - 1, part);
		if (fewer == old.used()) {
			table.set(i, Entry());
			pool_.put(below);
			++emptied;
		} else if (fewer != 0) {
			table.set(i, Entry::link(below, old.used() - fewer));
		}
	});
	return emptied;
}

// Returns how many entries of this table are used.
unsigned PageTable::count(const Table &table, unsigned level, Census &census) const
{
	unsigned used = 0;
	++census.tables;
	for (unsigned i = 0; i < kEntries; ++i) {
		const Entry e = table.get(i);
		used += !e.empty();
		if (e.is_leaf()) {
			const bool right = level < kLeafLevels && (page_sizes_ & level_size(level)) != 0 &&
					   (e.va() & (level_size(level) - 1)) == 0 && e.access() != 0;
			census.wrong_leaves += !right;
			census.leaves[std::min(level, kLeafLevels - 1)] += right;
		} else if (!e.empty()) {
			// A table that is linked has something in it.
			census.wrong_counts += level == 0 || e.used() == 0 ||
					       count(e.table(), level - 1, census) != e.used();
		}
	}
	return used;
}

bool PageTable::verify(FILE *why) const
{
	Census census;
	count(*root_, top_, census);
	const bool same = std::equal(leaves_, leaves_ + kLeafLevels, census.leaves);
	const bool pool = pool_.verify() && census.tables == pool_.taken();
	if (same && pool && census.wrong_counts == 0 && census.wrong_leaves == 0)
		return true;
	if (why)
		std::fprintf(why, "page table: leaves %s, pool %s, %u wrong counts, %u wrong leaves\n",
			     same ? "agree" : "differ", pool ? "agrees" : "differs",
			     census.wrong_counts, census.wrong_leaves);
	return false;
}

}  // namespace iovad::dma::soft
