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
	static constexpr unsigned kLeafMerged = 54, kInnerMerged = 21;

	RangeTree &t;
	Descent<Kernels> ways{t};
	Aggregates<Kernels> aggregates{t};

	Status erase(Pfn start, Pfn end, Value value) const
	{
		Path path;
		const unsigned i = ways.locate(start, path);
		const Leaf &l = *path.leaf;
		if (l.key[i] != key_of(start, value) || pfn_of(l.key[i + 1]) != end)
			return Status::not_found;
		const typename Descent<Kernels>::Change change(t, path);
		t.count_given_back(start, end);
		if (i > 0 && i + 1 < l.n) [[likely]]
			erase_inside(path, i);
		else
			erase_at_edge(path, i);
		return Status::ok;
	}

	// Make extent i a gap and merge it with its neighbours in the leaf.
	void erase_inside(Path &path, unsigned i) const
	{
		Leaf &l = *path.leaf;
		const bool below = i > 0 && value_of(l.key[i - 1]) == 0;
		const bool above = i + 1 < l.n && value_of(l.key[i + 1]) == 0;
		const unsigned first = i - below, removed = below + above;
		const uint64_t s = start_of(l.key[first]), e = start_of(l.key[i + 1 + above]);
		Kernels::close(l, first + 1, removed);
		l.key[first] = s;
		aggregates.raise(path, summary_of_gap(s, e));
		if (l.n < Leaf::kSmall && t.height_ > 0) [[unlikely]]
			shrink(path);
	}

	// The same for the first or last extent of a leaf, whose gap may go on in the
	// neighbour leaf: then the first key of the right one of the two goes.
	void erase_at_edge(Path &path, unsigned i) const
	{
		const Pfn start = pfn_of(path.leaf->key[i]);
		if (i + 1 == path.leaf->n) {
			Path right = path;
			if (ways.step_right(right) && value_of(right.leaf->key[0]) == 0) {
				ways.note(right);
				drop_first(right, path);
				i = ways.locate(start, path);
				ways.note(path);
			}
		}
		if (i == 0) {
			Path left = path;
			if (ways.step_left(left) && value_of(left.leaf->key[left.leaf->n - 1]) == 0) {
				ways.note(left);
				absorb_first(path, left);
				return;
			}
		}
		erase_inside(path, i);
	}

	// The range at the front of path's leaf becomes part of the gap that ends the leaf
	// of `left`; so does a gap that follows it.
	void absorb_first(Path &path, const Path &left) const
	{
		const uint64_t s = left.leaf->key[left.leaf->n - 1];
		if (path.leaf->n > 1 && value_of(path.leaf->key[1]) == 0) {
			// Both as one extent; drop_first() takes it and recomputes the leaf.
			std::memmove(&path.leaf->key[1], &path.leaf->key[2],
				     (path.leaf->n - 1) * sizeof(uint64_t));
			--path.leaf->n;
		}
		aggregates.raise(left, summary_of_gap(s, start_of(path.leaf->key[1])));
		drop_first(path, left);
	}

	// Remove the first extent of path's leaf: the extent before it, the last of `left`,
	// the leaf to its left, now reaches to its end. Neither path holds afterwards.
	void drop_first(Path &path, const Path &left) const
	{
		Leaf &l = *path.leaf;
		const uint64_t start = start_of(l.key[1]);
		left.leaf->key[left.leaf->n] = start;
		if (l.n == 1) {
			t.pool_->give(path.leaf_ref);
			remove_child(path, t.height_ - 1);
			return;
		}
		std::memmove(&l.key[0], &l.key[1], l.n * sizeof(uint64_t));
		--l.n;
		set_separator(path, t.height_, start);
		aggregates.lower(path, t.height_, aggregates.of(l));
		if (l.n < Leaf::kSmall)
			shrink(path);
	}

	// The node at `depth` of the path, not the leftmost, begins at key now: so does the
	// lowest ancestor that has something to its left.
	static void set_separator(const Path &path, unsigned depth, uint64_t key)
	{
		while (path.at[--depth] == 0)
			;
		path.node[depth]->key[path.at[depth]] = key;
	}

	// Take the child of the path at `depth` out of its node.
	void remove_child(Path &path, unsigned depth) const
	{
		Inner &node = *path.node[depth];
		const unsigned c = path.at[depth];
		if (node.n == 1) {
			t.pool_->give(path.node[depth - 1]->child[path.at[depth - 1]]);
			remove_child(path, depth - 1);
			return;
		}
		Lanes<Kernels>::remove(node, c);
		if (c == 0)
			set_separator(path, depth, node.key[0]);
		aggregates.lower(path, depth, aggregates.of(node));
		collapse_root();
	}

	void collapse_root() const
	{
		while (t.height_ > 0 && t.pool_->inner(t.root_ref_).n == 1) {
			const NodeRef old = t.root_ref_;
			t.root_ref_ = t.pool_->inner(old).child[0];
			t.pool_->give(old);
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
			const NodeRef high_ref = node.child[low + 1];
			t.pool_->note(&t.pool_->leaf(node.child[low]));
			if (!merge(*t.pool_, node.child[low], high_ref, node.key[low + 1]))
				continue;
			Summary both = node.summary(low);
			both.raise(node.summary(low + 1));
			node.set_summary(low, both);
			Lanes<Kernels>::remove(node, low + 1);
			t.pool_->give(high_ref);
			return true;
		}
		return false;
	}

	static bool merge_leaves(NodePool &pool, NodeRef low_ref, NodeRef high_ref, uint64_t)
	{
		Leaf &low = pool.leaf(low_ref);
		const Leaf &high = pool.leaf(high_ref);
		if (low.n + high.n > kLeafMerged)
			return false;
		std::memcpy(&low.key[low.n], high.key, (high.n + 1) * sizeof(uint64_t));
		low.n += high.n;
		return true;
	}

	// The first key of `high` may be stale and will count now: separator replaces it.
	static bool merge_inner(NodePool &pool, NodeRef low_ref, NodeRef high_ref, uint64_t separator)
	{
		Inner &low = pool.inner(low_ref);
		const Inner &high = pool.inner(high_ref);
		if (low.n + high.n > kInnerMerged)
			return false;
		Lanes<Kernels>::move(low, low.n, high, 0, high.n);
		low.key[low.n] = separator;
		low.n += high.n;
		return true;
	}
};

}  // namespace iovad::core
