// SPDX-License-Identifier: BSD-3-Clause
// Baseline 1: how the kernel's iova allocator works up to 6.x, from a description.
//
// A red-black tree of allocated ranges ordered by address, with an anchor above the
// space. An allocation starts at a cached node and walks towards lower addresses
// until the hole below a range takes the request: O(n). There are two cached nodes,
// one for limits below 4 GiB and one for all others: the place of the last
// allocation, moved up by a free above it. If the walk reaches the bottom, it is
// repeated once from the limit down to where it had begun.
//
// max32_alloc_size: the size of the last request below 4 GiB that failed. Requests
// of that size or more fail at once until a range below 4 GiB is freed. This hint is
// part of the design and is wrong at times: a failure under a lower limit, or of an
// aligned request, also turns others away that would fit.
#pragma once

#include "range_pool.h"
#include "rb_tree.h"
#include "spin_lock.h"

#include <algorithm>
#include <mutex>

namespace iovad::baselines {

class LinearRbtree {
public:
	// The kernel's is 40 bytes in a slab object of one cache line.
	struct alignas(64) Range : RbHook<Range> {
		std::uint64_t lo = 0;
		std::uint64_t hi = 0;
	};
	using Handle = Range *;

	explicit LinearRbtree(const Space &space)
		: space_(space), pool_(space.max_ranges), max32_alloc_size_(space.pages_below_4g)
	{
		anchor_.lo = anchor_.hi = kNone;
		tree_.insert_first(&anchor_);
	}

	LinearRbtree(const LinearRbtree &) = delete;
	LinearRbtree &operator=(const LinearRbtree &) = delete;

	// align is a power of two. Null: no space, or no object left.
	Handle alloc_handle(std::uint64_t size, std::uint64_t align, std::uint64_t limit)
	{
		std::lock_guard guard(lock_);
		limit = std::min(limit, space_.last);
		if (below_4g(limit) && size >= max32_alloc_size_)
			return nullptr;
		Range *range = pool_.get();
		if (!range)
			return nullptr;
		Fit fit = find(size, align, limit);
		if (!fit.above) {
			if (below_4g(limit))
				max32_alloc_size_ = size;
			pool_.put(range);
			return nullptr;
		}
		range->lo = fit.lo;
		range->hi = fit.lo + size - 1;
		tree_.insert_before(fit.above, range);
		cached_[below_4g(range->hi)] = range;
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
		if (!n || n->hi - n->lo + 1 != size)
			return false;
		remove(n);
		return true;
	}

	std::size_t live() const { return live_; }
	std::size_t live_bytes() const { return live_ * sizeof(Range); }
	std::uint64_t max32_alloc_size() const { return max32_alloc_size_; }

	bool verify() const
	{
		std::size_t n = 0;
		std::uint64_t end = space_.first;
		for (const Range *r = tree_.first(); r != &anchor_; r = tree_.next(r)) {
			if (r->lo < end || r->hi < r->lo || r->hi > space_.last)
				return false;
			end = r->hi + 1;
			++n;
		}
		return n == live_ && tree_.verify();
	}

private:
	struct Fit {
		std::uint64_t lo;
		Range *above; // null: nothing fits
	};

	bool below_4g(std::uint64_t pfn) const { return pfn < space_.pages_below_4g; }

	Fit find(std::uint64_t size, std::uint64_t align, std::uint64_t limit)
	{
		Range *start = cached_[below_4g(limit)];
		Fit fit = walk(start, size, align, space_.first, limit);
		if (!fit.above && start->hi < limit)
			fit = walk(first_above(limit), size, align, start->hi + 1, limit);
		return fit;
	}

	// From the hole below n towards lower addresses; never below floor.
	Fit walk(Range *n, std::uint64_t size, std::uint64_t align, std::uint64_t floor,
		 std::uint64_t limit) const
	{
		std::uint64_t top = limit + 1;
		for (;;) {
			top = std::min(top, n->lo);
			if (top < floor + size)
				return {kNone, nullptr};
			std::uint64_t lo = (top - size) & ~(align - 1);
			if (lo < floor)
				return {kNone, nullptr};
			Range *below = tree_.prev(n);
			if (!below || lo > below->hi)
				return {lo, n};
			n = below;
		}
	}

	// The lowest range that begins above limit; the anchor at the latest.
	Range *first_above(std::uint64_t limit)
	{
		Range *best = &anchor_;
		for (Range *n = tree_.root(); n;) {
			if (n->lo > limit) {
				best = n;
				n = n->child[0];
			} else {
				n = n->child[1];
			}
		}
		return best;
	}

	void remove(Range *range)
	{
		Range *above = tree_.next(range);
		// A hole above a cached node has to be seen by the next walk.
		if (range == cached_[1] || (below_4g(range->hi) && range->lo >= cached_[1]->lo))
			cached_[1] = above;
		if (range->lo >= cached_[0]->lo)
			cached_[0] = above;
		if (below_4g(range->lo))
			max32_alloc_size_ = space_.pages_below_4g;
		tree_.erase(range);
		pool_.put(range);
		--live_;
	}

	SpinLock lock_;
	Space space_;
	RbTree<Range> tree_;
	RangePool<Range> pool_;
	Range anchor_;
	Range *cached_[2] = {&anchor_, &anchor_}; // all limits; limits below 4 GiB
	std::uint64_t max32_alloc_size_;
	std::size_t live_ = 0;
};

}  // namespace iovad::baselines
