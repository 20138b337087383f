// SPDX-License-Identifier: BSD-3-Clause
// Baseline 2: the augmented red-black tree of the kernel's 2026 rework, second
// version, from a description.
//
// A red-black tree of allocated ranges with an anchor above the space. Each node
// keeps the gap to its predecessor and the largest gap in its subtree. An allocation
// descends towards the right first, into subtrees whose largest gap is large enough
// and that begin under the limit: the first fit is the highest address.
//
// The summary knows sizes, not alignment. Two ways to live with that:
//   kExact   prune by the size alone and try each gap that passes: finds whatever
//            fits; O(n) past gaps that are large enough but hold no aligned block.
//            This is how the version measured as "kernel augmented rbtree" behaves.
//   kPadded  prune by size + alignment - 1: any gap that passes fits, so O(log n),
//            but blind for smaller gaps that hold an aligned block. The first phase
//            of the first version, and the maple tree's search.
// Under a limit one more gap may be tried in vain, the one that the limit clips.
//
// Freeing range r adds r's gap and size to the gap of the range above. That must have
// reached the root before r leaves: otherwise rotations copy summaries that no later
// update repairs, as updates stop where nothing changes.
#pragma once

#include "range_pool.h"
#include "rb_tree.h"
#include "spin_lock.h"

#include <algorithm>
#include <mutex>

namespace iovad::baselines {

enum class AlignedSearch { kExact, kPadded };

template <AlignedSearch kSearch = AlignedSearch::kExact>
class AugmentedRbtree {
public:
	struct alignas(64) Range : RbHook<Range> {
		std::uint64_t lo = 0;
		std::uint64_t hi = 0;
		std::uint64_t gap = 0;     // free pages right below lo
		std::uint64_t max_gap = 0; // in this subtree
	};
	using Handle = Range *;

	explicit AugmentedRbtree(const Space &space) : space_(space), pool_(space.max_ranges)
	{
		anchor_.lo = anchor_.hi = space.last + 1;
		anchor_.gap = space.last + 1 - space.first;
		tree_.insert_first(&anchor_);
	}

	AugmentedRbtree(const AugmentedRbtree &) = delete;
	AugmentedRbtree &operator=(const AugmentedRbtree &) = delete;

	// align is a power of two. Null: no space, or no object left.
	Handle alloc_handle(std::uint64_t size, std::uint64_t align, std::uint64_t limit)
	{
		std::lock_guard guard(lock_);
		Range *range = pool_.get();
		if (!range)
			return nullptr;
		Fit fit = find(size, align, std::min(limit, space_.last));
		if (!fit.above) {
			pool_.put(range);
			return nullptr;
		}
		range->lo = fit.lo;
		range->hi = fit.lo + size - 1;
		range->gap = fit.lo - (fit.above->lo - fit.above->gap);
		fit.above->gap = fit.above->lo - range->hi - 1;
		tree_.changed(fit.above);
		tree_.insert_before(fit.above, range);
		++live_;
		return range;
	}

	std::uint64_t alloc(std::uint64_t size, std::uint64_t align, std::uint64_t limit)
	{
		Handle range = alloc_handle(size, align, limit);
		return range ? range->lo : kNone;
	}

	void free_handle(Handle range)
	{
		std::lock_guard guard(lock_);
		remove(range);
	}

	// False unless exactly that range is allocated.
	bool free_address(std::uint64_t pfn, std::uint64_t size)
	{
		std::lock_guard guard(lock_);
		Range *n = tree_.root();
		while (n && n->lo != pfn)
			n = n->child[n->lo < pfn];
		if (!n || n == &anchor_ || n->hi - n->lo + 1 != size)
			return false;
		remove(n);
		return true;
	}

	std::size_t live() const { return live_; }
	std::size_t live_bytes() const { return live_ * sizeof(Range); }

	bool verify() const
	{
		std::size_t n = 0;
		std::uint64_t end = space_.first;
		for (const Range *r = tree_.first(); r; r = tree_.next(r)) {
			if (r->lo < end || r->hi < r->lo || r->gap != r->lo - end)
				return false;
			end = r->hi + 1;
			++n;
		}
		return n == live_ + 1 && tree_.verify();
	}

private:
	struct MaxGap {
		static std::uint64_t of(const Range &n)
		{
			std::uint64_t max = n.gap;
			for (const Range *c : n.child)
				max = c ? std::max(max, c->max_gap) : max;
			return max;
		}
		static bool update(Range &n)
		{
			std::uint64_t old = n.max_gap;
			n.max_gap = of(n);
			return n.max_gap != old;
		}
		static void copy(const Range &from, Range &to) { to.max_gap = from.max_gap; }
		static bool holds(const Range &n) { return n.max_gap == of(n); }
	};
	using Tree = RbTree<Range, MaxGap>;

	struct Fit {
		std::uint64_t lo;
		Range *above; // null: nothing fits
	};

	// Reverse in-order walk of the subtrees that the summary and the limit leave over.
	Fit find(std::uint64_t size, std::uint64_t align, std::uint64_t limit) const
	{
		const std::uint64_t want = kSearch == AlignedSearch::kPadded ? size + align - 1 : size;
		Range *n = tree_.root();
		if (n->max_gap < want || limit < size)
			return {kNone, nullptr};
		for (;;) {
			while (holds(n->child[Tree::kHigh], want) && n->hi + size <= limit)
				n = n->child[Tree::kHigh];
			for (;;) {
				if (n->gap >= want) {
					std::uint64_t lo = (std::min(n->lo, limit + 1) - size) & ~(align - 1);
					// Signed: a gap that begins above the limit ends up below zero.
					if (static_cast<std::int64_t>(lo) >=
					    static_cast<std::int64_t>(n->lo - n->gap))
						return {lo, n};
				}
				if (holds(n->child[Tree::kLow], want)) {
					n = n->child[Tree::kLow];
					break;
				}
				// All of n is done: back to the node that n lies to the right of.
				Range *p = n->parent();
				while (p && n == p->child[Tree::kLow]) {
					n = p;
					p = p->parent();
				}
				if (!p)
					return {kNone, nullptr};
				n = p;
			}
		}
	}

	static bool holds(const Range *n, std::uint64_t want) { return n && n->max_gap >= want; }

	void remove(Range *range)
	{
		Range *above = tree_.next(range);
		above->gap += range->gap + (range->hi - range->lo + 1);
		tree_.changed(above);
		tree_.erase(range);
		pool_.put(range);
		--live_;
	}

	SpinLock lock_;
	Space space_;
	Tree tree_;
	RangePool<Range> pool_;
	Range anchor_;
	std::size_t live_ = 0;
};

}  // namespace iovad::baselines
