// SPDX-License-Identifier: BSD-3-Clause
// Turning a range into a gap, merging it with the gaps beside it and nodes that became
// small with their neighbours. Needs nothing and cannot fail.
#pragma once

#include <initializer_list>

#include "core/range_tree/aggregates.h"
#include "core/range_tree/lanes.h"

namespace iovad::core {

template <class Kernels> struct GivingBack {
	// A small node looks for a neighbour to merge with; together they must leave room, so
	// that the next insertion does not split them again.
	static constexpr unsigned kLeafMerged = 50, kInnerMerged = 21;

	RangeTree &t;
	Descent<Kernels> ways{t};
	Aggregates<Kernels> aggregates{t};

	Status erase(Pfn start, Pfn end, Value value) const
	{
		Path path;
		const unsigned i = ways.locate(start, path);
		const Leaf &l = *path.leaf;
		if (l.start_of(i) != start || l.value(i) != value || l.end_of(i) != end)
			return Status::not_found;
		const typename Descent<Kernels>::Change change(t, path);
		t.count_given_back(start, end);
		if (i > 0 && i + 1 < l.n) [[likely]]
			erase_inside(path, i);
		else
			erase_at_edge(path, i);
		return Status::ok;
	}

	void erase_inside(Path &path, unsigned i) const
	{
		open_gap(path, i);
		if (path.leaf->n < Leaf::kSmall && t.height_ > 0) [[unlikely]]
			shrink(path);
	}

	// Make extent i a gap and merge it with its neighbours in the leaf; returns its index then.
	unsigned open_gap(const Path &path, unsigned i) const
	{
		Leaf &l = *path.leaf;
		const bool below = i > 0 && l.value(i - 1) == 0;
		const bool above = i + 1 < l.n && l.value(i + 1) == 0;
		const unsigned first = i - below, removed = below + above;
		const Pfn s = l.start_of(first), e = l.end_of(i + above);
		Kernels::close(l, first + 1, removed);
		l.key[first] = key_of(l.offset(s));
		aggregates.raise(path, summary_of_gap(s, e));
		return first;
	}

	// The first or last extent of a leaf, whose gap may go on in the neighbour leaf: the right one
	// of the two then has all of it.
	void erase_at_edge(Path &path, unsigned i) const
	{
		const Leaf &l = *path.leaf;
		const bool below = i > 0 && l.value(i - 1) == 0;
		const unsigned first = i - below;
		const Pfn s = l.start_of(first);
		Path right = path;
		if (i + 1 == l.n && ways.step_right(right) && right.leaf->value(0) == 0) {
			move_to_right(path, first, right);
			if (first != 0)
				return;
			ways.locate(s, path);
			ways.note(path);
		} else {
			open_gap(path, i);
		}
		Path left = path;
		if (path.leaf->start == s && ways.step_left(left) && left.leaf->value(left.leaf->n - 1) == 0) {
			move_to_right(left, left.leaf->n - 1, path);
			ways.locate(s, path);
			ways.note(path);
		}
		if (path.leaf->n < Leaf::kSmall && t.height_ > 0)
			shrink(path);
	}

	// What a leaf has from its extent `first` on becomes part of the gap that its right neighbour
	// begins with. Neither path holds afterwards.
	void move_to_right(Path &from, unsigned first, const Path &to) const
	{
		ways.note(from);
		ways.note(to);
		Leaf &l = *from.leaf;
		const Pfn s = l.start_of(first);
		to.leaf->set_start(s, 0);
		aggregates.set_separator(to, t.height_, s);
		aggregates.raise(to, summary_of_gap(s, to.leaf->end_of(0)));
		if (first == 0) {
			t.pool_->give_leaf(from.leaf_ref);
			remove_child(from, t.height_ - 1);
			return;
		}
		const bool had_gap = l.value(first) == 0;
		l.n = first;
		l.key[first] &= ~kValueMask;
		if (had_gap)
			aggregates.lower(from, t.height_, aggregates.of(l));
		if (l.n < Leaf::kSmall)
			shrink(from);
	}

	// Take the child of the path at `depth` out of its node.
	void remove_child(Path &path, unsigned depth) const
	{
		Inner &node = *path.node[depth];
		const unsigned c = path.at[depth];
		if (node.n == 1) {
			t.pool_->give_inner(path.node[depth - 1]->child[path.at[depth - 1]]);
			remove_child(path, depth - 1);
			return;
		}
		Lanes<Kernels>::remove(node, c);
		if (c == 0)
			aggregates.set_separator(path, depth, node.key[0]);
		aggregates.lower(path, depth, aggregates.of(node));
		collapse_root();
	}

	void collapse_root() const
	{
		while (t.height_ > 0 && t.pool_->inner(t.root_ref_).n == 1) {
			const NodeRef old = t.root_ref_;
			t.root_ref_ = t.pool_->inner(old).child[0];
			t.pool_->give_inner(old);
			--t.height_;
		}
	}

	// The leaf of the path is small: merge it with a neighbour under the same parent if
	// that leaves room; then the same for the levels above.
	void shrink(const Path &path) const
	{
		unsigned d = t.height_ - 1;
		if (!merge_at(*path.node[d], path.at[d], merge_leaves))
			return;
		for (; d > 0 && path.node[d]->n < Inner::kSmall; --d) {
			if (!merge_at(*path.node[d - 1], path.at[d - 1], merge_inner))
				break;
		}
		collapse_root();
	}

	// Merge child c of the node with its right or else its left neighbour.
	template <class Merge> bool merge_at(Inner &node, unsigned c, Merge merge) const
	{
		for (const unsigned low : {c, c - 1}) {
			if (low >= node.n || low + 1 >= node.n)
				continue;
			if (!merge(*t.pool_, node.child[low], node.child[low + 1], node.key[low + 1]))
				continue;
			Summary both = node.below[low];
			both.raise(node.below[low + 1]);
			node.below[low] = both;
			Lanes<Kernels>::remove(node, low + 1);
			return true;
		}
		return false;
	}

	static bool merge_leaves(NodePool &pool, NodeRef low_ref, NodeRef high_ref, Pfn)
	{
		Leaf &low = pool.leaf(low_ref);
		const Leaf &high = pool.leaf(high_ref);
		if (low.n + high.n > kLeafMerged || high.begins_below_frame() || (low.n > 1 && low.frame != high.frame))
			return false;
		pool.note(low);
		low.frame = high.frame;
		low.set_start(low.start, low.value(0));
		std::memcpy(&low.key[low.n], high.key, (high.n + 1) * sizeof(Key));
		low.n += high.n;
		pool.give_leaf(high_ref);
		return true;
	}

	// The first key of `high` may be stale and will count now: separator replaces it.
	static bool merge_inner(NodePool &pool, NodeRef low_ref, NodeRef high_ref, Pfn separator)
	{
		Inner &low = pool.inner(low_ref);
		const Inner &high = pool.inner(high_ref);
		if (low.n + high.n > kInnerMerged)
			return false;
		pool.note(low);
		Lanes<Kernels>::move(low, low.n, high, 0, high.n);
		low.key[low.n] = separator;
		low.n += high.n;
		pool.give_inner(high_ref);
		return true;
	}
};

}  // namespace iovad::core
