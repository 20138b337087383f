// SPDX-License-Identifier: BSD-3-Clause
// What the tree asks of one node, in plain C++: the meaning of every kernel, and the
// reference for the vector ones. Those take the same names and give the same results.
#pragma once

#include <cstring>

#include "core/range_tree/node.h"

namespace iovad::core {

struct PortableKernels {
	// Number of keys of the leaf that are <= key.
	static unsigned rank(const Leaf &leaf, uint64_t key) { return count_le(leaf.key, leaf.n, key); }

	// The child of the node under which key lies; child 0 takes all that lies below.
	static unsigned child_of(const Inner &node, uint64_t key)
	{
		return count_le(node.key + 1, node.n - 1, key);
	}

	// Bit c: child c may hold a gap with at least this summary.
	static uint32_t candidates(const Inner &node, Summary least)
	{
		uint32_t mask = 0;
		for (unsigned c = 0; c < node.n; ++c)
			mask |= static_cast<uint32_t>(node.summary(c).covers(least)) << c;
		return mask;
	}

	// The highest gap of the leaf that satisfies the request, or -1.
	static int highest_fit(const Leaf &leaf, const Request &r)
	{
		for (int i = static_cast<int>(leaf.n) - 1; i >= 0; --i) {
			if (value_of(leaf.key[i]) == 0 && fits(leaf.key[i], leaf.key[i + 1], r))
				return i;
		}
		return -1;
	}

	// The maxima over all gaps of the leaf but the one at `skip`, which may be none, 63.
	static Summary summarize(const Leaf &leaf, unsigned skip)
	{
		uint64_t gap = 0, natural = 0;
		for (unsigned i = 0; i < leaf.n; ++i) {
			const uint64_t s = leaf.key[i], e = start_of(leaf.key[i + 1]);
			if (value_of(s) != 0 || i == skip)
				continue;
			const uint64_t capacity = natural_capacity(s, e);
			gap = gap < e - s ? e - s : gap;
			natural = natural < capacity ? capacity : natural;
		}
		return {saturate(pfn_of(gap)), saturate(pfn_of(natural))};
	}

	// The maxima over all children, child c taken to have the summary s.
	static Summary summarize(const Inner &node, unsigned c, Summary s)
	{
		for (unsigned i = 0; i < node.n; ++i) {
			if (i != c)
				s.raise(node.summary(i));
		}
		return s;
	}

	// Whether [p, p + size) fits in the gap [s, e) under the request's end. The
	// differences are signed: where end - size lies below zero nothing fits.
	static bool fits(uint64_t s, uint64_t e, const Request &r)
	{
		return static_cast<int64_t>(placed(e, r)) >= static_cast<int64_t>(s);
	}
	static uint64_t placed(uint64_t e, const Request &r)
	{
		return ((e < r.end ? e : r.end) - r.size) & r.align_mask;
	}

	// Room for `by` keys, two at most, before key[at].
	static void open(Leaf &leaf, unsigned at, unsigned by)
	{
		std::memmove(&leaf.key[at + by], &leaf.key[at], (leaf.n + 1 - at) * sizeof(uint64_t));
		leaf.n += by;
	}

	// Away with `by` keys, two at most, from key[at] on.
	static void close(Leaf &leaf, unsigned at, unsigned by)
	{
		std::memmove(&leaf.key[at], &leaf.key[at + by], (leaf.n + 1 - at - by) * sizeof(uint64_t));
		leaf.n -= by;
	}

private:
	// Keys ascend: a binary search without branches that depend on data.
	static unsigned count_le(const uint64_t *keys, unsigned n, uint64_t key)
	{
		const uint64_t *base = keys;
		while (n > 1) {
			const unsigned half = n / 2;
			base = base[half - 1] <= key ? base + half : base;
			n -= half;
		}
		return static_cast<unsigned>(base - keys) + (n == 1 && *base <= key);
	}
};

}  // namespace iovad::core
