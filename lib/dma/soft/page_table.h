// SPDX-License-Identifier: BSD-3-Clause
// The page table of one address space: a radix tree of 3 to 5 levels, with a leaf of
// 1 GiB or 2 MiB wherever address and memory are congruent and the range is long enough.
//
// One writer at a time. Readers walk at any time and wait for nobody: every entry is one
// atomic word, and a table is complete before an entry leads to it. A mapping reserves the
// tables it will need before it changes anything, so there is nothing to roll back.
//
// Tables that became empty are unlinked at once and used again, perhaps at another level,
// perhaps while a reader that was on its way is still inside. Such a reader could see
// what another address translates to. Therefore the writer counts (recycled_) between
// unlinking tables and using them again, and a reader whose count changed during the walk
// walks again. It cannot miss that: entries written since are released after the count,
// and a reader acquires every entry it reads; and one that began with the new count has
// acquired the unlinking with it. That it meets no memory other than tables meanwhile is
// because of Entry's link bit and of TablePool, which keeps its memory.
#pragma once

#include <cstdio>

#include "dma/soft/table_pool.h"

namespace iovad::dma::soft {

// What translates one address. With an empty entry nothing does, and the shift means nothing.
struct Leaf {
	Entry entry;
	unsigned shift = 0;

	uint64_t offset(uint64_t iova) const { return iova & ((uint64_t{1} << shift) - 1); }
	uint64_t va(uint64_t iova) const { return entry.va() + offset(iova); }
	// Bytes from the address to the end of the leaf.
	uint64_t left(uint64_t iova) const { return (uint64_t{1} << shift) - offset(iova); }
};

class PageTable {
public:
	// page_sizes: a bit for each size of leaf. False from make_root(): no memory.
	PageTable(unsigned address_bits, uint64_t page_sizes, uint64_t most_tables);
	bool make_root();

	// Lock-free, any thread, for any address below 2^address_bits.
	Leaf find(uint64_t iova) const
	{
		return find(iova, [] {});
	}
	// For tests, which do things in the middle of a walk: step() after each entry read.
	template <class Step> Leaf find(uint64_t iova, Step step) const
	{
		for (;;) {
			// Acquire pairs with the release in unmap(): the tables that were recycled
			// up to this count are not found any more.
			const uint64_t before = recycled_.load(std::memory_order_acquire);
			const Leaf leaf = walk(iova, step);
			// Relaxed: the acquire of each entry keeps this load behind the walk.
			if (recycled_.load(std::memory_order_relaxed) == before) [[likely]]
				return leaf;
		}
	}

	// Writers. Whole pages of the smallest size, nothing of the range mapped. False: there
	// is no memory for the tables, and nothing has changed.
	bool map(uint64_t iova, uint64_t va, uint64_t len, uint64_t access);
	// Exactly what one map() gave.
	void unmap(uint64_t iova, uint64_t len);

	uint64_t leaves(unsigned level) const { return leaves_[level]; }
	TablePool &pool() { return pool_; }
	const TablePool &pool() const { return pool_; }

	// Recounts all there is; says on `why` (may be null) what does not agree.
	bool verify(FILE *why) const;

private:
	struct Range {
		uint64_t iova, va, len;
	};
	struct Census {
		uint64_t leaves[kLeafLevels] = {};
		uint64_t tables = 0;
		unsigned wrong_counts = 0, wrong_leaves = 0;
	};

	template <class Step> Leaf walk(uint64_t iova, Step &step) const
	{
		const Table *table = root_;
		for (unsigned shift = level_shift(top_);; shift -= kEntryBits) {
			// A reader that was overtaken may come below the last level, and the shift below 0.
			const Entry e = table->get(iova >> (shift % 64) & (kEntries - 1));
			step();
			if (!e.is_link())
				return {e, shift};
			table = &e.table();
		}
	}

	bool is_leaf(unsigned level, const Range &r) const;
	template <class Visit> static void for_each_entry(unsigned level, Range r, Visit visit);
	uint64_t missing(const Table *table, unsigned level, Range r) const;
	unsigned fill(Table &table, unsigned level, Range r, uint64_t access);
	unsigned clear(Table &table, unsigned level, Range r);
	unsigned count(const Table &table, unsigned level, Census &census) const;

	// Read by every walk, hardly ever written.
	alignas(64) Table *root_ = nullptr;
	const unsigned top_;           // level of the root
	unsigned lowest_;              // level of the smallest leaf
	const uint64_t page_sizes_;
	std::atomic<uint64_t> recycled_ = 0;

	alignas(64) TablePool pool_;
	uint64_t leaves_[kLeafLevels] = {};
};

}  // namespace iovad::dma::soft
