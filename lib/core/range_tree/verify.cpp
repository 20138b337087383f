// SPDX-License-Identifier: BSD-3-Clause
// Recomputes every invariant of node.h by the plainest means.
#include <cinttypes>

#include "core/range_tree/range_tree.h"

namespace iovad::core {

namespace {

// The definition of natural capacity, by trial: not the formula of the tree. Every n
// fits up to it, so bisection finds it.
uint64_t capacity_by_trial(Pfn s, Pfn e)
{
	uint64_t fits = 0, fails = e - s + 1;
	while (fails - fits > 1) {
		const uint64_t n = fits + (fails - fits) / 2, align = std::bit_ceil(n);
		((((s + align - 1) & ~(align - 1)) + n <= e) ? fits : fails) = n;
	}
	return fits;
}

}  // namespace

struct RangeTreeVerifier {
	const RangeTree &t;
	FILE *why;
	bool good = true;
	Pfn expected;             // where the next extent must begin
	bool after_gap = false;
	uint64_t ranges = 0, gaps = 0, gaps_low = 0;
	uint64_t leaves = 0;      // and inner nodes twice

	template <class... Args> void fail(const char *format, Args... args)
	{
		good = false;
		if (why) {
			std::fputs("range tree: ", why);
			std::fprintf(why, format, args...);
			std::fputc('\n', why);
		}
	}

	Summary visit(NodeRef ref, uint32_t depth)
	{
		if (depth == t.height_) {
			++leaves;
			return visit_leaf(t.pool_->leaf(ref));
		}
		leaves += sizeof(Inner) / sizeof(Leaf);
		return visit_inner(t.pool_->inner(ref), depth);
	}

	Summary visit_inner(const Inner &node, uint32_t depth)
	{
		Summary all;
		if (node.n < (depth == 0 ? 2u : 1u) || node.n > Inner::kCapacity) {
			fail("inner node with %u children", node.n);
			return all;
		}
		for (unsigned c = 0; c < node.n; ++c) {
			if (c > 0 && node.key[c] != expected)
				fail("separator %" PRIx64 " instead of %" PRIx64, node.key[c], expected);
			const Pfn begin = expected;
			const Summary s = visit(node.child[c], depth + 1);
			if (s != node.below[c])
				fail("child at %" PRIx64 ": gap %u capacity %u stored, %u and %u found",
				     begin, node.below[c].gap, node.below[c].natural, s.gap, s.natural);
			all.raise(s);
		}
		return all;
	}

	Summary visit_leaf(const Leaf &leaf)
	{
		Summary all;
		if (leaf.n == 0 || leaf.n > Leaf::kCapacity) {
			fail("leaf at %" PRIx64 " with %u keys", expected, leaf.n);
			return all;
		}
		if (leaf.frame % kFrame != 0 || leaf.key[0] != key_of(leaf.offset(leaf.start), leaf.value(0)))
			fail("leaf at %" PRIx64 " with frame %" PRIx64 " and key %x", expected, leaf.frame, leaf.key[0]);
		for (unsigned i = 0; i < leaf.n; ++i) {
			const Pfn s = leaf.start_of(i), e = leaf.end_of(i);
			if (s != expected || e <= s || e > leaf.frame + kFrame) {
				fail("extent [%" PRIx64 ", %" PRIx64 ") where %" PRIx64 " should begin", s,
				     e, expected);
			}
			visit_extent({s, e, leaf.value(i)}, all);
			expected = e;
		}
		return all;
	}

	void visit_extent(const Extent &x, Summary &all)
	{
		const bool gap = x.value == 0;
		if (gap && after_gap)
			fail("two gaps touch at %" PRIx64, x.start);
		after_gap = gap;
		if (gap) {
			all.raise({saturate(x.end - x.start), saturate(capacity_by_trial(x.start, x.end))});
			gaps += x.end - x.start;
			gaps_low += t.below_border(x.start, x.end);
		} else {
			++ranges;
		}
	}

	bool run()
	{
		expected = t.first_;
		const Summary all = visit(t.root_ref_, 0);
		if (expected != t.end_)
			fail("extents end at %" PRIx64 " instead of %" PRIx64, expected, t.end_);
		if (all != t.root_)
			fail("root: gap %u capacity %u stored, %u and %u found", t.root_.gap, t.root_.natural,
			     all.gap, all.natural);
		if (ranges != t.ranges_)
			fail("%" PRIu64 " ranges counted, %" PRIu64 " found", t.ranges_, ranges);
		if (gaps != t.free_)
			fail("%" PRIu64 " free granules counted, %" PRIu64 " found", t.free_, gaps);
		if (gaps_low != t.free_low_)
			fail("%" PRIu64 " free granules counted below the border, %" PRIu64 " found", t.free_low_,
			     gaps_low);
		if (leaves != t.pool_->used_leaves())
			fail("nodes for %" PRIu64 " leaves in use, %" PRIu64 " in the tree", t.pool_->used_leaves(), leaves);
		if (!t.pool_->sound())
			fail("a pool of %u nodes does not add up", t.pool_->capacity());
		return good;
	}
};

bool RangeTree::verify(FILE *why) const { return RangeTreeVerifier{*this, why, true, 0, false, 0, 0, 0, 0}.run(); }

}  // namespace iovad::core
