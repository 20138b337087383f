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
		r.size = size;
		r.align_mask = ~(align - 1);
		r.end = limit < t.end_ ? limit + 1 : t.end_;
		Path path;
		unsigned index;
		if (size >= t.end_ || !ways.search(r, path, index))
			return {Status::no_space, 0};
		const Pfn p = r.placed(path.leaf->end_of(index));
		return {place(path, index, p, p + size, value), p};
	}

	Status claim(Pfn start, Pfn end, Value value) const
	{
		Path path;
		const unsigned i = ways.locate(start, path);
		if (path.leaf->value(i) != 0 || path.leaf->end_of(i) < end)
			return Status::exists;
		return place(path, i, start, end, value);
	}

	// Cut [p, q) out of the gap at index of the path's leaf.
	[[gnu::always_inline]] Status place(Path &path, unsigned index, Pfn p, Pfn q, Value value) const
	{
		Leaf *l = path.leaf;
		const Pfn s = l->start_of(index), e = l->end_of(index);
		const unsigned added = (p > s) + (q < e);
		const typename Descent<Kernels>::Change change(t, path);
		if (index == 0 && !keeps_to_frame(*l, p, q)) [[unlikely]] {
			if (l->n == 1)
				l->set_only(s, e, 0);
			if (!keeps_to_frame(*l, p, q))
				return place_across(path, p, q, value);
		}
		if (l->n + added > Leaf::kCapacity) [[unlikely]] {
			if (!make_room(path, index))
				return Status::again;
			index = ways.locate(s, path);
			l = path.leaf;
		}
		// The leaf is reduced before it is edited: vector loads would wait for the stores.
		// And it is edited before the long way up, which nothing in it has to wait for.
		Summary left = aggregates.of(*l, index);
		left.raise(summary_of_gap(s, p));
		left.raise(summary_of_gap(q, e));
		cut_gap(*l, index, p, q, value);
		aggregates.lower(path, t.height_, left);
		t.count_taken(p, q);
		return Status::ok;
	}

	static void cut_gap(Leaf &l, unsigned i, Pfn p, Pfn q, Value value)
	{
		const bool below = p > l.start_of(i), above = q < l.end_of(i);
		Kernels::open(l, i + 1, below + above);
		l.key[i + below] = key_of(l.offset(p), value);
		if (above)
			l.key[i + below + 1] = key_of(l.offset(q));
	}

	// Whether all but the first extent begin in the frame once [p, q) is cut out of the first one.
	static bool keeps_to_frame(const Leaf &l, Pfn p, Pfn q) { return (p > l.start ? p : q) >= l.frame; }

	// Where they do not: what lies before each new border goes to another leaf.
	[[gnu::noinline, gnu::cold]] Status place_across(Path &path, Pfn p, Pfn q, Value value) const
	{
		if (!t.can_insert(1))
			return Status::again;
		const Pfn s = path.leaf->start;
		bool left_stays = s == p;
		if (s < p)
			split_first(path, p, 0);
		if (q < path.leaf->end_of(0))
			left_stays &= split_first(path, q, value);
		else
			path.leaf->set_start(p, value);
		recompute(path);
		if (!left_stays) {
			for (const Pfn pfn : {p, s}) {
				ways.locate(pfn, path);
				recompute(path);
			}
		}
		t.count_taken(p, q);
		return Status::ok;
	}

	void recompute(const Path &path) const { aggregates.lower(path, t.height_, aggregates.of(*path.leaf)); }

	// Of the first extent of the path's leaf, what lies below `at` goes, with a value, to the leaf on
	// the left or becomes a leaf of its own. Afterwards the path leads to the rest, and summaries are
	// not true yet. Of the left leaf, where the result is true and there is a value, they still are.
	bool split_first(Path &path, Pfn at, Value value) const
	{
		if (append_to_left(path, at, value))
			return true;
		split_off_first(path, at, value);
		ways.locate(at, path);
		return false;
	}

	// Without it ranges that are taken upwards would have a leaf each.
	bool append_to_left(const Path &path, Pfn at, Value value) const
	{
		Path left = path;
		if (!ways.step_left(left))
			return false;
		Leaf &l = *left.leaf;
		if (l.n == Leaf::kCapacity || at > l.frame + kFrame)
			return false;
		ways.note(left);
		l.key[l.n] |= value;
		l.key[++l.n] = key_of(at - l.frame);
		path.leaf->set_start(at, 0);
		aggregates.set_separator(path, t.height_, at);
		return true;
	}

	void split_off_first(Path &path, Pfn at, Value value) const
	{
		Leaf &low = *path.leaf;
		const NodeRef high_ref = t.pool_->take_leaf();
		Leaf &high = t.pool_->leaf(high_ref);
		high = low;
		high.set_start(at, 0);
		low.set_only(low.start, at, value);
		insert_sibling(path, t.height_, {aggregates.of(low), path.leaf_ref}, {aggregates.of(high), high_ref}, at);
	}

	// Split the leaf of the path, after seeing that there are nodes for all of it.
	bool make_room(Path &path, unsigned index) const
	{
		unsigned full = 0;
		while (full < t.height_ && path.node[t.height_ - 1 - full]->n == Inner::kCapacity)
			++full;
		if (!t.pool_->has(1, full + (full == t.height_)))
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
		const NodeRef high_ref = t.pool_->take_leaf();
		Leaf &high = t.pool_->leaf(high_ref);
		const unsigned m = split_point(low.n, index);
		high.n = low.n - m;
		high.frame = low.frame;
		high.start = low.start_of(m);
		std::memcpy(high.key, &low.key[m], (high.n + 1) * sizeof(Key));
		low.n = m;
		low.key[m] &= ~kValueMask;
		insert_sibling(path, t.height_, {aggregates.of(low), path.leaf_ref},
			       {aggregates.of(high), high_ref}, high.start);
	}

	// The node at `depth` of the path was split into low and high, which begins at key:
	// enter both in the parent. The summaries above stay as they are.
	void insert_sibling(Path &path, unsigned depth, Child low, Child high, Pfn key) const
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
		node.below[c] = low.summary;
	}

	// Split the inner node at `depth`; afterwards the path has there the half that holds
	// its child. Above, the path is of no more use.
	void split_inner(Path &path, unsigned depth) const
	{
		Inner &low = *path.node[depth];
		const unsigned c = path.at[depth];
		const NodeRef low_ref = depth == 0 ? t.root_ref_
						   : path.node[depth - 1]->child[path.at[depth - 1]];
		const NodeRef high_ref = t.pool_->take_inner();
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

	void grow_root(Child low, Child high, Pfn key) const
	{
		const NodeRef ref = t.pool_->take_inner();
		Inner &node = t.pool_->inner(ref);
		node.n = 2;
		Lanes<Kernels>::set(node, 0, low, t.first_);
		Lanes<Kernels>::set(node, 1, high, key);
		t.root_ref_ = ref;
		++t.height_;
	}
};

}  // namespace iovad::core
