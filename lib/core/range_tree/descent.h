// SPDX-License-Identifier: BSD-3-Clause
// Ways through the range tree: to the highest gap that satisfies a request, to the
// extent that holds a granule, to the neighbour of a leaf.
#pragma once

#include "core/range_tree/kernels_portable.h"
#include "core/range_tree/range_tree.h"

namespace iovad::core {

// From the root to one leaf: which child was taken at every inner level.
struct Path {
	Inner *node[RangeTree::kMaxHeight];
	unsigned at[RangeTree::kMaxHeight];
	Leaf *leaf;
	NodeRef leaf_ref;
};

template <class Kernels> struct Descent {
	const RangeTree &t;

	Leaf &leaf(NodeRef ref) const { return t.pool_->leaf(ref); }
	Inner &inner(NodeRef ref) const { return t.pool_->inner(ref); }

	// Before nodes of the path change.
	void note(const Path &path) const
	{
		if (!t.pool_->journal()) [[likely]]
			return;
		for (unsigned d = 0; d < t.height_; ++d)
			t.pool_->note(*path.node[d]);
		t.pool_->note(*path.leaf);
	}

	// While the tree changes, at first along this path: a journal, if one is kept, has it as it was.
	class [[nodiscard]] Change : Journal::Change {
	public:
		[[gnu::always_inline]] Change(RangeTree &t, const Path &path) : Journal::Change(t.pool_->journal(), &t, sizeof t)
		{
			if (!this->journal_) [[likely]]
				return;
			this->journal_->note(t.pool_, sizeof *t.pool_);
			Descent{t}.note(path);
		}
	};

	// Position on the highest gap that satisfies r; false where there is none.
	bool search(const Request &r, Path &path, unsigned &index) const
	{
		uint32_t untried[RangeTree::kMaxHeight];
		unsigned depth = 0;
		NodeRef ref = t.root_ref_;
		// While the path is cut by the limit, children right of the cut do not count.
		bool cut = r.end < t.end_;
		// Most is found not far below the limit: nothing has to wait for the leaf's frame then.
		LeafRequest in_leaf(r, frame_below(r.end));
		++t.searches_;
		for (;;) {
			while (depth < t.height_) {
				Inner &node = inner(ref);
				uint32_t mask = Kernels::candidates(node, r.least);
				unsigned border = Inner::kCapacity;
				if (cut) {
					border = Kernels::child_of(node, r.end - 1);
					mask &= (uint32_t{2} << border) - 1;
				}
				path.node[depth] = &node;
				untried[depth] = mask;
				if (mask == 0)
					break;
				const unsigned c = take_highest(untried[depth]);
				cut = c == border;
				path.at[depth++] = c;
				ref = node.child[c];
			}
			if (depth == t.height_) {
				++t.leaves_visited_;
				path.leaf_ref = ref;
				path.leaf = &leaf(ref);
				if (in_leaf.frame != path.leaf->frame)
					in_leaf = LeafRequest(r, path.leaf->frame);
				const int i = highest_fit(*path.leaf, r, in_leaf);
				if (i >= 0) [[likely]] {
					index = static_cast<unsigned>(i);
					return true;
				}
			}
			// Nothing there: the nearest candidate to the left, wholly under the limit.
			cut = false;
			do {
				if (depth == 0)
					return false;
			} while (untried[--depth] == 0);
			path.at[depth] = take_highest(untried[depth]);
			ref = path.node[depth]->child[path.at[depth]];
			++depth;
		}
	}

	// Position on the extent in which pfn lies.
	unsigned locate(Pfn pfn, Path &path) const
	{
		NodeRef ref = t.root_ref_;
		for (unsigned d = 0; d < t.height_; ++d) {
			path.node[d] = &inner(ref);
			__builtin_prefetch(path.node[d]->child);
			path.at[d] = Kernels::child_of(*path.node[d], pfn);
			ref = path.node[d]->child[path.at[d]];
		}
		path.leaf_ref = ref;
		path.leaf = &leaf(ref);
		// Below the leaf's frame only the first extent lies. Else a guess that the processor makes: what
		// follows does not wait for the leaf to say its frame.
		int32_t key = static_cast<int32_t>(key_of(pfn - frame_of(pfn), kValueMask));
		if (path.leaf->frame != frame_of(pfn)) [[unlikely]]
			key = -1;
		return Kernels::rank(*path.leaf, key);
	}

	// Move to the neighbour leaf; false, and no move, where there is none.
	bool step_left(Path &path) const
	{
		return step(path, [](const Inner &, unsigned c) { return c > 0; },
			    [](const Inner &, unsigned c) { return c - 1; },
			    [](const Inner &node) { return node.n - 1; });
	}
	bool step_right(Path &path) const
	{
		return step(path, [](const Inner &node, unsigned c) { return c + 1 < node.n; },
			    [](const Inner &, unsigned c) { return c + 1; },
			    [](const Inner &) { return 0u; });
	}

private:
	// Where the gap that begins below the frame is the highest, what of it lies there counts as well.
	static int highest_fit(const Leaf &leaf, const Request &r, const LeafRequest &in_leaf)
	{
		const int i = Kernels::highest_fit(leaf, in_leaf);
		if (i < 0 && leaf.begins_below_frame() && leaf.value(0) == 0 && r.fits(leaf.start, leaf.end_of(0)))
			return 0;
		return i;
	}

	template <class Can, class Next, class Entry>
	bool step(Path &path, Can can, Next next, Entry entry) const
	{
		unsigned d = t.height_;
		do {
			if (d == 0)
				return false;
			--d;
		} while (!can(*path.node[d], path.at[d]));
		path.at[d] = next(*path.node[d], path.at[d]);
		NodeRef ref = path.node[d]->child[path.at[d]];
		for (++d; d < t.height_; ++d) {
			path.node[d] = &inner(ref);
			path.at[d] = entry(*path.node[d]);
			ref = path.node[d]->child[path.at[d]];
		}
		path.leaf_ref = ref;
		path.leaf = &leaf(ref);
		return true;
	}

	static unsigned take_highest(uint32_t &mask)
	{
		const unsigned c = 31 - static_cast<unsigned>(std::countl_zero(mask));
		mask &= ~(uint32_t{1} << c);
		return c;
	}
};

}  // namespace iovad::core
