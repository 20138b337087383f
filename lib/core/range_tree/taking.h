// SPDX-License-Identifier: BSD-3-Clause
// Turning a part of a gap into a range: the search, the cut, and the splits that make
// room for its keys.
#pragma once

#include "core/range_tree/aggregates.h"
#include "core/range_tree/lanes.h"

namespace iovad::core {

template <class Kernels> struct Taking {
	RangeTree &t;
	Descent<Kernels> ways{t};
	Aggregates<Kernels> aggregates{t};

	Placement alloc(uint64_t size, uint64_t align, Pfn limit, Value value) const
	{
		Request r;
		r.least = RangeTree::least(size, align);
		if (!t.root_.covers(r.least) || t.full_below(limit, size))
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
		const typename Descent<Kernels>::Change change(t, path);
		if (l->n + added > Leaf::kCapacity) [[unlikely]] {
			if (!make_room(path, index))
				return Status::again;
			index = ways.locate(pfn_of(s), path);
			l = path.leaf;
		}
		// The leaf is reduced before it is edited: vector loads would wait for the stores.
		// And it is edited before the long way up, which nothing in it has to wait for.
		Summary left = Kernels::summarize(*l, index);
		left.raise(summary_of_gap(s, p));
		left.raise(summary_of_gap(q, e));
		cut_gap(*l, index, p, q, value);
		aggregates.lower(path, t.height_, left);
		t.count_taken(pfn_of(p), pfn_of(q));
		return Status::ok;
	}

	static void cut_gap(Leaf &l, unsigned i, uint64_t p, uint64_t q, Value value)
	{
		const bool below = p > l.key[i], above = q < start_of(l.key[i + 1]);
		Kernels::open(l, i + 1, below + above);
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
		Leaf &high = t.pool_->leaf(high_ref);
		const unsigned m = split_point(low.n, index);
		high.n = low.n - m;
		std::memcpy(high.key, &low.key[m], (high.n + 1) * sizeof(uint64_t));
		low.n = m;
		insert_sibling(path, t.height_, {aggregates.of(low), path.leaf_ref},
			       {aggregates.of(high), high_ref}, start_of(high.key[0]));
	}

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
		Lanes<Kernels>::insert(node, c + 1, high, key);
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
		Inner &high = t.pool_->inner(high_ref);
		const unsigned m = split_point(low.n, c);
		high.n = low.n - m;
		Lanes<Kernels>::move(high, 0, low, m, high.n);
		low.n = m;
		insert_sibling(path, depth, {aggregates.of(low), low_ref}, {aggregates.of(high), high_ref},
			       high.key[0]);
		if (c >= m) {
			path.node[depth] = &high;
			path.at[depth] = c - m;
		}
	}

	void grow_root(Child low, Child high, uint64_t key) const
	{
		const NodeRef ref = t.pool_->take();
		Inner &node = t.pool_->inner(ref);
		node.n = 2;
		Lanes<Kernels>::set(node, 0, low, key_of(t.first_));
		Lanes<Kernels>::set(node, 1, high, key);
		t.root_ref_ = ref;
		++t.height_;
	}
};

}  // namespace iovad::core
