// SPDX-License-Identifier: BSD-3-Clause
// The range tree: a B-tree that knows, below every child, the longest gap and the
// largest natural capacity (node.h). It finds the highest free place for any length,
// alignment and limit, and any range by address.
//
// Search. A request names the least summary that a child must have to hold it. Going
// down, the rightmost such child under the limit is entered; where a leaf disappoints,
// the search goes on at the nearest left candidate. For
//     any length without alignment, or aligned to its next power of two
// the summary is an exact test for whole children, so that only the one child that the
// limit cuts can disappoint: two descents at most. Other pairs are exact as well: their
// test is necessary, not sufficient, and what the search visits in vain is counted
// (leaves_visited). Gaps of 2^32 granules and more saturate, with the same consequence.
//
// Taking cuts a gap, adding up to two keys; what that may need in nodes is known and
// checked before anything changes. Giving back only removes keys and merges nodes: it
// needs nothing and cannot fail. It only makes gaps grow, so summaries are raised on
// the way up, never recomputed; taking recomputes its path.
//
// Threads: none of this locks; AddressSpace does. State: a plain struct in the memory
// it is given, usable by every process that maps it at the same address. The code for
// the machine's vector unit is chosen once per process (Isa).
//
// Sources: the aggregate of gaps in a B-tree is the kernel's maple tree; the natural
// capacity as a second, exact aggregate is this project's; splitting at the insertion point
// at the edges is an old remedy for B-trees filled in order.
#pragma once

#include <cstdio>

#include "core/range_tree/node_pool.h"
#include "core/status.h"

namespace iovad::core {

struct Extent {
	Pfn start;
	Pfn end;      // first granule after it
	Value value;  // 0 = a gap

	friend bool operator==(const Extent &, const Extent &) = default;
};

struct Placement {
	Status status;
	Pfn start;
};

// Instruction sets that the tree has code for. best: what is best for applications on this machine, which
// need not be the tree's fastest.
enum class Isa { portable, avx2, avx512, best };
bool isa_supported(Isa isa);
const char *isa_name(Isa isa);
Isa current_isa();
// For tests and benchmarks: no tree may be in use by another thread meanwhile.
void select_isa(Isa isa);

class RangeTree {
public:
	static constexpr unsigned kMaxHeight = 16;

	// Nodes that hold `ranges` ranges even where each is followed by a gap and leaves are
	// as empty as taking and giving back at random leaves them at worst.
	static uint32_t nodes_for(uint64_t ranges);
	// What they need in a tree that others gave it nodes before.
	static constexpr uint64_t more_nodes_for(uint64_t ranges)
	{
		// Two keys per range in leaves that are just not small; the inner levels above have
		// an eighth of as many nodes.
		const uint64_t leaves = ranges * 2 / Leaf::kSmall + 1;
		return (leaves + 1) / 2 + leaves / 8 + 1;
	}

	// One gap [first, end). The pool must have a node. What is free below the border is counted
	// apart, so that requests with a limit there are refused without a search where all is taken.
	void init(NodePool *pool, Pfn first, Pfn end, Pfn border = 0);

	// Take the highest [p, p + size) with p a multiple of align (a power of two) and all
	// of it at or below limit. Any fit is found. no_space or again: nothing changed.
	Placement alloc(uint64_t size, uint64_t align, Pfn limit, Value value);
	// Take exactly [start, end), which must lie in one gap, or: exists. May say again.
	Status claim(Pfn start, Pfn end, Value value);
	// Turn exactly [start, end), a range of this value, into a gap, or: not_found.
	Status erase(Pfn start, Pfn end, Value value);
	// The extent in which pfn lies; pfn must be inside the space.
	Extent find(Pfn pfn) const;

	Pfn first() const { return first_; }
	Pfn end() const { return end_; }
	uint64_t ranges() const { return ranges_; }
	uint64_t free_granules() const { return free_; }
	uint64_t largest_gap() const;
	uint32_t height() const { return height_; }
	const NodePool &pool() const { return *pool_; }
	// Whether a request of this size and alignment can be refused without a look.
	bool refuses(uint64_t size, uint64_t align) const { return !root_.covers(least(size, align)); }
	// Whether there are nodes for `count` calls of claim() or alloc(), whatever they need. Each may
	// split two leaves off, and one node at each height above.
	bool can_insert(unsigned count) const { return pool_->has(2 * count, count * (height_ + 1)); }
	// Leaves that searches looked into, and how many searches there were.
	uint64_t leaves_visited() const { return leaves_visited_; }
	uint64_t searches() const { return searches_; }

	// Recompute everything; says on `why`, unless null, what does not hold.
	bool verify(FILE *why) const;

	static Summary least(uint64_t size, uint64_t align)
	{
		// What is aligned to more than its own next power of two is aligned to that
		// as well; what is longer than its alignment holds a block of that.
		return {saturate(size), saturate(size < align ? size : align)};
	}

private:
	template <class Kernels> friend struct Descent;
	template <class Kernels> friend struct Aggregates;
	template <class Kernels> friend struct Taking;
	template <class Kernels> friend struct GivingBack;
	friend struct RangeTreeVerifier;

	uint64_t longest_below(NodeRef ref, uint32_t height) const;
	uint64_t below_border(Pfn start, Pfn end) const
	{
		return start < border_ ? (end < border_ ? end : border_) - start : 0;
	}
	void count_taken(Pfn start, Pfn end)
	{
		++ranges_;
		free_ -= end - start;
		free_low_ -= below_border(start, end);
	}
	void count_given_back(Pfn start, Pfn end)
	{
		--ranges_;
		free_ += end - start;
		free_low_ += below_border(start, end);
	}
	bool full_below(Pfn limit, uint64_t size) const { return limit < border_ && size > free_low_; }

	NodePool *pool_;
	NodeRef root_ref_;
	uint32_t height_;  // levels of inner nodes above the leaves
	Summary root_;
	Pfn first_, end_;
	uint64_t ranges_, free_;
	Pfn border_;
	uint64_t free_low_;  // granules below it
	mutable uint64_t leaves_visited_, searches_;
};

}  // namespace iovad::core
