// SPDX-License-Identifier: BSD-3-Clause
// Keeping the summaries along a path true.
#pragma once

#include "core/range_tree/descent.h"

namespace iovad::core {

template <class Kernels> struct Aggregates {
	// No extent of a leaf has this index: "skip none".
	static constexpr unsigned kNone = 63;

	RangeTree &t;

	// A gap below grew to s.
	void raise(const Path &path, Summary s) const
	{
		for (unsigned d = t.height_; d-- > 0;) {
			Summary lane = path.node[d]->summary(path.at[d]);
			if (lane.covers(s))
				return;
			lane.raise(s);
			path.node[d]->set_summary(path.at[d], lane);
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
			node.set_summary(c, s);
			s = above;
		}
		t.root_ = s;
	}

	static Summary of(const Leaf &leaf) { return Kernels::summarize(leaf, kNone); }
	static Summary of(const Inner &node) { return Kernels::summarize(node, 0, node.summary(0)); }
};

}  // namespace iovad::core
