// SPDX-License-Identifier: BSD-3-Clause
// An intrusive red-black tree that both baselines share.
//
// A node type T derives from RbHook<T>. The tree neither allocates nor compares:
// the caller names the node that a new one goes in front of, since an allocator
// has just walked there. The policy Augment keeps one value per node that
// summarises its subtree:
//
//   bool update(T &n)             recompute n from n and its children; true if it changed
//   void copy(const T &a, T &b)   b takes a's place at the top of the same subtree
//   bool holds(const T &n)        n equals its recomputation, for verify()
//
// Every structural change first makes the summaries right from the place of the
// change to the root, then rebalances: a rotation only has to hand the summary of
// the old top to the new one and recompute the old. Walking up may stop at the
// first node that did not change, because all summaries above it were right.
#pragma once

#include <cstddef>
#include <cstdint>

namespace iovad::baselines {

template <class T>
struct RbHook {
	T *child[2] = {nullptr, nullptr}; // lower and higher addresses
	std::uintptr_t up = 0;            // the parent; bit 0 is set in a red node

	T *parent() const { return reinterpret_cast<T *>(up & ~std::uintptr_t{1}); }
	bool red() const { return (up & 1) != 0; }
	void set_red() { up |= 1; }
	void set_black() { up &= ~std::uintptr_t{1}; }
	void set_parent(T *p) { up = reinterpret_cast<std::uintptr_t>(p) | (up & 1); }
};

template <class T>
struct NoAugment {
	static bool update(T &) { return false; }
	static void copy(const T &, T &) {}
	static bool holds(const T &) { return true; }
};

template <class T, class Augment = NoAugment<T>>
class RbTree {
public:
	static constexpr int kLow = 0;
	static constexpr int kHigh = 1;

	T *root() const { return root_; }
	T *prev(const T *n) const { return step<kLow>(n); }
	T *next(const T *n) const { return step<kHigh>(n); }

	T *first() const
	{
		return root_ ? outermost<kLow>(root_) : nullptr;
	}

	void insert_first(T *n)
	{
		n->child[kLow] = n->child[kHigh] = nullptr;
		n->up = 0;
		root_ = n;
		Augment::update(*n);
	}

	// n becomes the predecessor of at.
	void insert_before(T *at, T *n)
	{
		int side = kLow;
		if (at->child[kLow]) {
			at = outermost<kHigh>(at->child[kLow]);
			side = kHigh;
		}
		n->child[kLow] = n->child[kHigh] = nullptr;
		n->up = 0;
		n->set_parent(at);
		n->set_red();
		at->child[side] = n;
		Augment::update(*n);
		propagate(at, nullptr);
		fix_insert(n);
	}

	// What n summarises has changed: bring that up to the root.
	void changed(T *n) { propagate(n, nullptr); }

	void erase(T *gone)
	{
		T *orphan;    // takes the place that lost a node; may be null
		T *parent;    // of that place
		bool was_red; // the colour that the place lost

		if (!gone->child[kLow] || !gone->child[kHigh]) {
			orphan = gone->child[gone->child[kLow] ? kLow : kHigh];
			parent = gone->parent();
			was_red = gone->red();
			replace(parent, gone, orphan);
			if (orphan)
				orphan->set_parent(parent);
			propagate(parent, nullptr);
		} else {
			T *heir = outermost<kLow>(gone->child[kHigh]);
			orphan = heir->child[kHigh];
			was_red = heir->red();
			parent = heir->parent();
			if (parent == gone) {
				parent = heir;
			} else {
				parent->child[kLow] = orphan;
				if (orphan)
					orphan->set_parent(parent);
				adopt(heir, kHigh, gone->child[kHigh]);
			}
			adopt(heir, kLow, gone->child[kLow]);
			heir->up = gone->up;
			replace(gone->parent(), gone, heir);
			// Above the heir every summary still counts the one that stood here,
			// so the heir starts from that and reports what differs.
			Augment::copy(*gone, *heir);
			if (parent != heir)
				propagate(parent, heir);
			propagate(heir, nullptr);
		}
		if (!was_red)
			fix_erase(orphan, parent);
	}

	// Order is the caller's to check; colours, black heights, parents and
	// summaries are checked here.
	bool verify() const
	{
		if (!root_)
			return true;
		return !root_->red() && !root_->parent() && black_height(root_) > 0;
	}

private:
	template <int kSide>
	static T *outermost(T *n)
	{
		while (n->child[kSide])
			n = n->child[kSide];
		return n;
	}

	template <int kSide>
	T *step(const T *n) const
	{
		if (n->child[kSide])
			return outermost<1 - kSide>(n->child[kSide]);
		T *p = n->parent();
		while (p && n == p->child[kSide]) {
			n = p;
			p = p->parent();
		}
		return p;
	}

	static bool is_red(const T *n) { return n && n->red(); }

	static void adopt(T *parent, int side, T *n)
	{
		parent->child[side] = n;
		n->set_parent(parent);
	}

	void replace(T *parent, const T *old, T *n)
	{
		if (!parent)
			root_ = n;
		else
			parent->child[parent->child[kHigh] == old] = n;
	}

	static void propagate(T *n, const T *end)
	{
		while (n != end && Augment::update(*n))
			n = n->parent();
	}

	// Lowers top to kSide; its other child rises.
	template <int kSide>
	void rotate(T *top)
	{
		T *riser = top->child[1 - kSide];
		T *inner = riser->child[kSide];
		top->child[1 - kSide] = inner;
		if (inner)
			inner->set_parent(top);
		riser->set_parent(top->parent());
		replace(top->parent(), top, riser);
		adopt(riser, kSide, top);
		Augment::copy(*top, *riser);
		Augment::update(*top);
	}

	void fix_insert(T *n)
	{
		T *p;
		while ((p = n->parent()) && p->red()) {
			if (p == p->parent()->child[kLow])
				n = fix_insert_below<kLow>(n, p);
			else
				n = fix_insert_below<kHigh>(n, p);
		}
		root_->set_black();
	}

	// n and its parent p, the child on kSide, are both red. Returns where to look next.
	template <int kSide>
	T *fix_insert_below(T *n, T *p)
	{
		T *top = p->parent();
		T *uncle = top->child[1 - kSide];
		if (is_red(uncle)) {
			uncle->set_black();
			p->set_black();
			top->set_red();
			return top;
		}
		if (n == p->child[1 - kSide]) {
			rotate<kSide>(p);
			n = p;
			p = n->parent();
		}
		p->set_black();
		top->set_red();
		rotate<1 - kSide>(top);
		return n;
	}

	void fix_erase(T *n, T *p)
	{
		while (n != root_ && !is_red(n)) {
			n = n == p->child[kLow] ? fix_erase_below<kLow>(p) : fix_erase_below<kHigh>(p);
			p = n->parent();
		}
		if (n)
			n->set_black();
	}

	// The subtree on kSide of p is one black short. Returns where that is so now;
	// the root where nowhere.
	template <int kSide>
	T *fix_erase_below(T *p)
	{
		T *sibling = p->child[1 - kSide];
		if (sibling->red()) {
			sibling->set_black();
			p->set_red();
			rotate<kSide>(p);
			sibling = p->child[1 - kSide];
		}
		if (!is_red(sibling->child[kLow]) && !is_red(sibling->child[kHigh])) {
			sibling->set_red();
			return p;
		}
		if (!is_red(sibling->child[1 - kSide])) {
			sibling->child[kSide]->set_black();
			sibling->set_red();
			rotate<1 - kSide>(sibling);
			sibling = p->child[1 - kSide];
		}
		if (p->red())
			sibling->set_red();
		p->set_black();
		sibling->child[1 - kSide]->set_black();
		rotate<kSide>(p);
		return root_;
	}

	// Black nodes on every way down from n, n included; -1 where n's subtree is broken.
	static int black_height(const T *n)
	{
		int below[2] = {0, 0};
		for (int side : {kLow, kHigh}) {
			const T *c = n->child[side];
			if (!c)
				continue;
			if (c->parent() != n || (n->red() && c->red()))
				return -1;
			below[side] = black_height(c);
		}
		if (below[0] < 0 || below[0] != below[1] || !Augment::holds(*n))
			return -1;
		return below[0] + (n->red() ? 0 : 1);
	}

	T *root_ = nullptr;
};

}  // namespace iovad::baselines
