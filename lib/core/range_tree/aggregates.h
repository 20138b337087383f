// SPDX-License-Identifier: BSD-3-Clause
// Keeping the summaries and separators along a path true.
#pragma once

#include "core/range_tree/descent.h"

namespace iovad::core {

template <class Kernels> struct Aggregates {
	// No extent of a leaf has this index: "skip none".
	static constexpr unsigned kNone = 63;

	RangeTree &t;

	// A gap below grew to s. On to the root as well, for the same reason as lower().
	void raise(const Path &path, Summary s) const
	{
		for (unsigned d = t.height_; d-- > 0;) {
			Summary lane = path.node[d]->below[path.at[d]];
			lane.raise(s);
			path.node[d]->below[path.at[d]] = lane;
		}
		t.root_.raise(s);
	}

	// The node at this depth now has the summary s, which may be less than before. Goes on
	// to the root: where nothing changes any more no branch predictor knows, and the nodes
	// of a path are reduced side by side.
	void lower(const Path &path, unsigned depth, Summary s) const
	{
		while (depth-- > 0) {
			Inner &node = *path.node[depth];
			const unsigned c = path.at[depth];
			// Reduced before the lane is stored: a vector load would wait for the store.
			const Summary above = Kernels::summarize(node, c, s);
			node.below[c] = s;
			s = above;
		}
		t.root_ = s;
	}

	// The node at `depth` of the path begins at key now: so does the lowest ancestor that has
	// something to its left, if any has.
	static void set_separator(const Path &path, unsigned depth, Pfn key)
	{
		while (depth-- > 0) {
			if (path.at[depth] == 0)
				continue;
			path.node[depth]->key[path.at[depth]] = key;
			return;
		}
	}

	// But for the extent at `skip`.
	static Summary of(const Leaf &leaf, unsigned skip = kNone)
	{
		Summary s = Kernels::summarize(leaf, skip);
		if (leaf.begins_below_frame() && leaf.value(0) == 0 && skip != 0) [[unlikely]]
			s.raise(summary_of_gap(leaf.start, leaf.end_of(0)));
		return s;
	}
	static Summary of(const Inner &node) { return Kernels::summarize(node, 0, node.below[0]); }
};

}  // namespace iovad::core
