// SPDX-License-Identifier: BSD-3-Clause
// The algorithms of the range tree over a set of node kernels. Included only by the
// sources that compile them for one instruction set each.
//
//   Descent     see descent.h
//   Aggregates  raise() after a gap grew, lower() after one shrank
//   Taking      place(), which makes room by split_leaf() and split_inner() first
//   Giving back erase(): erase_inside() the leaf; erase_at_edge() where a gap may
//               reach into a neighbour leaf; shrink() merges what became small
#pragma once

#include <cstring>
#include <initializer_list>

#include "core/range_tree/descent.h"

namespace iovad::core {

template <class Kernels> struct RangeTreeOps {
	// Below this many keys a leaf looks for a neighbour to merge with; together they must
	// leave room, so that the next insertion does not split them again.
	static constexpr unsigned kLeafMin = 26, kLeafMerged = 54;
	static constexpr unsigned kInnerMin = 10, kInnerMerged = 21;
	// No extent of a leaf has this index: "skip none".
	static constexpr unsigned kNone = 63;

	RangeTree &t;
	Descent<Kernels> ways{t};

	Leaf &leaf(NodeRef ref) const { return t.pool_->leaf(ref); }
	Inner &inner(NodeRef ref) const { return t.pool_->inner(ref); }

	// ---- aggregates ----

	// What is stored of the node at this depth of the path (the leaf's: height).
	Summary stored(const Path &path, unsigned depth) const
	{
		return depth == 0 ? t.root_ : path.node[depth - 1]->summary(path.at[depth - 1]);
	}

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

	// The node at this depth now has the summary s, which may be less than before.
	void lower(const Path &path, unsigned depth, Summary s) const
	{
		while (depth-- > 0) {
			Inner &node = *path.node[depth];
			const unsigned c = path.at[depth];
			const Summary old = node.summary(c), all = stored(path, depth);
			if (old == s)
				return;
			// Reduced before the lane is stored: a vector load would wait for the store.
			const Summary above = Kernels::summarize(node, c, s);
			node.set_summary(c, s);
			if (above == all)
				return;
			s = above;
		}
		t.root_ = s;
	}

	// ---- taking ----

	Placement alloc(uint64_t size, uint64_t align, Pfn limit, Value value) const
	{
		Request r;
		r.least = RangeTree::least(size, align);
		if (!t.root_.covers(r.least))
			return {Status::no_space, 0};
		r.size = key_of(size);
		r.align_mask = ~(key_of(align) - 1);
		r.end = key_of(limit < t.end_ ? limit + 1 : t.end_);
		Path path;
		unsigned index;
		if (size >= t.end_ || !ways.search(r, path, index))
			return {Status::no_space, 0};
		const uint64_t p = PortableKernels::placed(path.leaf->key[index + 1], r);
		return {place(path, index, p, p + r.size, value), pfn_of(p)};
	}

	Status claim(Pfn start, Pfn end, Value value) const
	{
		Path path;
		const unsigned i = ways.locate(start, path);
		if (value_of(path.leaf->key[i]) != 0 || pfn_of(path.leaf->key[i + 1]) < end)
			return Status::exists;
		return place(path, i, key_of(start), key_of(end), value);
	}

	// Cut [p, q) out of the gap at index of the path's leaf.
	Status place(Path &path, unsigned index, uint64_t p, uint64_t q, Value value) const
	{
		Leaf *l = path.leaf;
		const uint64_t s = l->key[index], e = start_of(l->key[index + 1]);
		const unsigned added = (p > s) + (q < e);
		if (l->n + added > Leaf::kCapacity) [[unlikely]] {
			if (!make_room(path, index))
				return Status::again;
			index = ways.locate(pfn_of(s), path);
			l = path.leaf;
		}
		// Only where the gap was a maximum does anything above change. The leaf is
		// reduced before it is edited: vector loads would wait for the stores.
		const Summary old = summary_of_gap(s, e), all = stored(path, t.height_);
		if (old.gap == all.gap || old.natural == all.natural) {
			Summary left = Kernels::summarize(*l, index);
			left.raise(summary_of_gap(s, p));
			left.raise(summary_of_gap(q, e));
			lower(path, t.height_, left);
		}
		cut_gap(*l, index, p, q, value);
		t.ranges_ += 1;
		t.free_ -= pfn_of(q - p);
		return Status::ok;
	}

	static void cut_gap(Leaf &l, unsigned i, uint64_t p, uint64_t q, Value value)
	{
		const bool below = p > l.key[i], above = q < start_of(l.key[i + 1]);
		const unsigned added = below + above;
		if (added != 0) {
			std::memmove(&l.key[i + 1 + added], &l.key[i + 1],
				     (l.n - i) * sizeof(uint64_t));
			l.n += added;
		}
		l.key[i + below] = p | value;
		if (above)
			l.key[i + below + 1] = q;
	}

	// Split the leaf of the path, after seeing that there are nodes for all of it.
	bool make_room(Path &path, unsigned index) const
	{
		unsigned full = 0;
		while (full < t.height_ && path.node[t.height_ - 1 - full]->n == Inner::kCapacity)
			++full;
		const unsigned nodes = 1 + full + (full == t.height_);
		if (t.pool_->available() < nodes)
			return false;
		split_leaf(path, index);
		return true;
	}

	// Filling in order, downwards or upwards, splits at the edge and so leaves full
	// nodes behind; else in the middle.
	static unsigned split_point(unsigned n, unsigned index)
	{
		if (index <= 1)
			return index + 1;
		return index + 2 >= n ? index : n / 2;
	}

	void split_leaf(Path &path, unsigned index) const
	{
		Leaf &low = *path.leaf;
		const NodeRef high_ref = t.pool_->take();
		Leaf &high = leaf(high_ref);
		const unsigned m = split_point(low.n, index);
		high.n = low.n - m;
		std::memcpy(high.key, &low.key[m], (high.n + 1) * sizeof(uint64_t));
		low.n = m;
		insert_sibling(path, t.height_, {Kernels::summarize(low, kNone), path.leaf_ref},
			       {Kernels::summarize(high, kNone), high_ref}, start_of(high.key[0]));
	}

	struct Child {
		Summary summary;
		NodeRef ref;
	};

	// The node at `depth` of the path was split into low and high, which begins at key:
	// enter both in the parent. The summaries above stay as they are.
	void insert_sibling(Path &path, unsigned depth, Child low, Child high, uint64_t key) const
	{
		if (depth == 0) {
			grow_root(low, high, key);
			return;
		}
		if (path.node[depth - 1]->n == Inner::kCapacity)
			split_inner(path, depth - 1);
		Inner &node = *path.node[depth - 1];
		const unsigned c = path.at[depth - 1];
		open_lane(node, c + 1);
		set_lane(node, c + 1, high, key);
		node.set_summary(c, low.summary);
	}

	// Split the inner node at `depth`; afterwards the path has there the half that holds
	// its child. Above, the path is of no more use.
	void split_inner(Path &path, unsigned depth) const
	{
		Inner &low = *path.node[depth];
		const unsigned c = path.at[depth];
		const NodeRef low_ref = depth == 0 ? t.root_ref_
						   : path.node[depth - 1]->child[path.at[depth - 1]];
		const NodeRef high_ref = t.pool_->take();
		Inner &high = inner(high_ref);
		const unsigned m = split_point(low.n, c);
		high.n = low.n - m;
		move_lanes(high, 0, low, m, high.n);
		low.n = m;
		insert_sibling(path, depth, {reduce(low), low_ref}, {reduce(high), high_ref},
			       high.key[0]);
		if (c >= m) {
			path.node[depth] = &high;
			path.at[depth] = c - m;
		}
	}

	void grow_root(Child low, Child high, uint64_t key) const
	{
		const NodeRef ref = t.pool_->take();
		Inner &node = inner(ref);
		node.n = 2;
		set_lane(node, 0, low, key_of(t.first_));
		set_lane(node, 1, high, key);
		t.root_ref_ = ref;
		++t.height_;
	}

	static void set_lane(Inner &node, unsigned c, Child child, uint64_t key)
	{
		node.key[c] = key;
		node.child[c] = child.ref;
		node.set_summary(c, child.summary);
	}

	static void open_lane(Inner &node, unsigned c)
	{
		move_lanes(node, c + 1, node, c, node.n - c);
		++node.n;
	}

	static void move_lanes(Inner &to, unsigned at, const Inner &from, unsigned first, unsigned count)
	{
		std::memmove(&to.key[at], &from.key[first], count * sizeof(to.key[0]));
		std::memmove(&to.gap[at], &from.gap[first], count * sizeof(to.gap[0]));
		std::memmove(&to.natural[at], &from.natural[first], count * sizeof(to.natural[0]));
		std::memmove(&to.child[at], &from.child[first], count * sizeof(to.child[0]));
	}

	static Summary reduce(const Inner &node) { return Kernels::summarize(node, 0, node.summary(0)); }

	// ---- giving back ----

	Status erase(Pfn start, Pfn end, Value value) const
	{
		Path path;
		const unsigned i = ways.locate(start, path);
		const Leaf &l = *path.leaf;
		if (l.key[i] != key_of(start, value) || pfn_of(l.key[i + 1]) != end)
			return Status::not_found;
		t.ranges_ -= 1;
		t.free_ += end - start;
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
		l.key[first] = s;
		if (removed != 0) {
			std::memmove(&l.key[first + 1], &l.key[first + 1 + removed],
				     (l.n - first - removed) * sizeof(uint64_t));
			l.n -= removed;
		}
		raise(path, summary_of_gap(s, e));
		if (l.n < kLeafMin && t.height_ > 0) [[unlikely]]
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
				drop_first(right, path);
				i = ways.locate(start, path);
			}
		}
		if (i == 0) {
			Path left = path;
			if (ways.step_left(left) && value_of(left.leaf->key[left.leaf->n - 1]) == 0) {
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
		raise(left, summary_of_gap(s, start_of(path.leaf->key[1])));
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
		lower(path, t.height_, Kernels::summarize(l, kNone));
		if (l.n < kLeafMin)
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
		close_lane(node, c);
		if (c == 0)
			set_separator(path, depth, node.key[0]);
		lower(path, depth, reduce(node));
		collapse_root();
	}

	static void close_lane(Inner &node, unsigned c)
	{
		move_lanes(node, c, node, c + 1, node.n - c - 1);
		--node.n;
	}

	void collapse_root() const
	{
		while (t.height_ > 0 && inner(t.root_ref_).n == 1) {
			const NodeRef old = t.root_ref_;
			t.root_ref_ = inner(old).child[0];
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
		for (; d > 0 && path.node[d]->n < kInnerMin; --d) {
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
			if (!merge(*t.pool_, node.child[low], high_ref, node.key[low + 1]))
				continue;
			Summary both = node.summary(low);
			both.raise(node.summary(low + 1));
			node.set_summary(low, both);
			close_lane(node, low + 1);
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
		move_lanes(low, low.n, high, 0, high.n);
		low.key[low.n] = separator;
		low.n += high.n;
		return true;
	}
};

}  // namespace iovad::core
