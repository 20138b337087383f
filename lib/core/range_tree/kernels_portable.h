// SPDX-License-Identifier: BSD-3-Clause
// What the tree asks of one node, in plain C++: the meaning of every kernel, and the
// reference for the vector ones. Those take the same names and give the same results.
#pragma once

#include <cstring>

#include "core/range_tree/node.h"

namespace iovad::core {

struct PortableKernels {
	// How many extents of the leaf but the first begin at key, which has all bits of a value set, or below
	// it; -1 is below all.
	static unsigned rank(const Leaf &leaf, int32_t key)
	{
		return key < 0 ? 0 : count_le(leaf.key + 1, leaf.n - 1, static_cast<Key>(key));
	}

	// The child of the node under which pfn lies; child 0 takes all that lies below.
	static unsigned child_of(const Inner &node, Pfn pfn) { return count_le(node.key + 1, node.n - 1, pfn); }

	// Bit c: child c may hold a gap with at least this summary.
	static uint32_t candidates(const Inner &node, Summary least)
	{
		uint32_t mask = 0;
		for (unsigned c = 0; c < node.n; ++c)
			mask |= static_cast<uint32_t>(node.below[c].covers(least)) << c;
		return mask;
	}

	// The highest gap of the leaf that satisfies the request with what of it lies in the frame, or -1.
	static int highest_fit(const Leaf &leaf, const LeafRequest &r)
	{
		for (int i = static_cast<int>(leaf.n) - 1; i >= 0; --i) {
			const auto s = static_cast<int32_t>(leaf.key[i]), next = static_cast<int32_t>(leaf.key[i + 1]);
			const int32_t e = next < r.end ? next : r.end;
			if (leaf.value(static_cast<unsigned>(i)) == 0 && ((e - r.size) & r.align_mask) >= s)
				return i;
		}
		return -1;
	}

	// The maxima over what of the leaf's gaps lies in the frame, but the one at `skip`, which may be none, 63.
	static Summary summarize(const Leaf &leaf, unsigned skip)
	{
		Summary all;
		for (unsigned i = 0; i < leaf.n; ++i) {
			if (leaf.value(i) == 0 && i != skip)
				all.raise(summary_of_gap(offset_of(leaf.key[i]), offset_of(leaf.key[i + 1])));
		}
		return all;
	}

	// The maxima over all children, child c taken to have the summary s.
	static Summary summarize(const Inner &node, unsigned c, Summary s)
	{
		for (unsigned i = 0; i < node.n; ++i) {
			if (i != c)
				s.raise(node.below[i]);
		}
		return s;
	}

	// Room for `by` keys, two at most, before key[at].
	static void open(Leaf &leaf, unsigned at, unsigned by)
	{
		std::memmove(&leaf.key[at + by], &leaf.key[at], (leaf.n + 1 - at) * sizeof(Key));
		leaf.n += by;
	}

	// Away with `by` keys, two at most, from key[at] on.
	static void close(Leaf &leaf, unsigned at, unsigned by)
	{
		std::memmove(&leaf.key[at], &leaf.key[at + by], (leaf.n + 1 - at - by) * sizeof(Key));
		leaf.n -= by;
	}

private:
	// Keys ascend: a binary search without branches that depend on data.
	template <class Number> static unsigned count_le(const Number *keys, unsigned n, Number key)
	{
		const Number *base = keys;
		while (n > 1) {
			const unsigned half = n / 2;
			base = base[half - 1] <= key ? base + half : base;
			n -= half;
		}
		return static_cast<unsigned>(base - keys) + (n == 1 && *base <= key);
	}
};

}  // namespace iovad::core
