// SPDX-License-Identifier: BSD-3-Clause
#include "core/range_tree/range_tree.h"

#include <algorithm>

#include "core/range_tree/dispatch.h"

namespace iovad::core {

namespace {

const TreeCode *code_of(Isa isa)
{
#ifdef IOVAD_HAVE_X86_KERNELS
	if (isa == Isa::avx512)
		return &kAvx512Code;
	if (isa == Isa::avx2)
		return &kAvx2Code;
#endif
	(void)isa;
	return &kPortableCode;
}

// These lower the clock of a core that works on 512 bits by an eighth, for most of a millisecond and for
// whatever else it does: applications would lose more than the tree gains.
bool slowed_by_512_bits()
{
#ifdef IOVAD_HAVE_X86_KERNELS
	return __builtin_cpu_is("skylake-avx512") || __builtin_cpu_is("cascadelake") || __builtin_cpu_is("cooperlake");
#else
	return false;
#endif
}

Isa best_isa()
{
	if (isa_supported(Isa::avx512) && !slowed_by_512_bits())
		return Isa::avx512;
	return isa_supported(Isa::avx2) ? Isa::avx2 : Isa::portable;
}

Isa chosen_isa = best_isa();
const TreeCode *code = code_of(chosen_isa);

}  // namespace

bool isa_supported(Isa isa)
{
#ifdef IOVAD_HAVE_X86_KERNELS
	if (isa == Isa::avx512) {
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
		       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
		       __builtin_cpu_supports("avx512dq") && isa_supported(Isa::avx2);
	}
	if (isa == Isa::avx2)
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
#endif
	return isa == Isa::portable || isa == Isa::best;
}

const char *isa_name(Isa isa)
{
	switch (isa) {
	case Isa::portable: return "portable";
	case Isa::avx2: return "AVX2";
	case Isa::avx512: return "AVX-512";
	case Isa::best: break;
	}
	return isa_name(best_isa());
}

Isa current_isa() { return chosen_isa; }

void select_isa(Isa isa)
{
	chosen_isa = isa == Isa::best ? best_isa() : isa;
	code = code_of(chosen_isa);
}

uint32_t RangeTree::nodes_for(uint64_t ranges)
{
	// And what one insertion may need at once; and leaves that hold little, beside the extents that cross
	// from frame to frame, as far as such are usual.
	const uint64_t crossings = ranges / 4 < 32 ? ranges / 4 : 32;
	const uint64_t nodes = more_nodes_for(ranges) + kMaxHeight + 2 + crossings;
	return nodes < NodePool::kMost ? static_cast<uint32_t>(nodes) : NodePool::kMost;
}

void RangeTree::init(NodePool *pool, Pfn first, Pfn end, Pfn border)
{
	pool_ = pool;
	root_ref_ = pool->take_leaf();
	height_ = 0;
	root_ = summary_of_gap(first, end);
	first_ = first;
	end_ = end;
	ranges_ = 0;
	free_ = end - first;
	border_ = border;
	free_low_ = below_border(first, end);
	leaves_visited_ = 0;
	searches_ = 0;
	pool->leaf(root_ref_).set_only(first, end, 0);
}

Placement RangeTree::alloc(uint64_t size, uint64_t align, Pfn limit, Value value)
{
	return code->alloc(*this, size, align, limit, value);
}

Status RangeTree::claim(Pfn start, Pfn end, Value value)
{
	return code->claim(*this, start, end, value);
}

Status RangeTree::erase(Pfn start, Pfn end, Value value)
{
	return code->erase(*this, start, end, value);
}

Extent RangeTree::find(Pfn pfn) const { return code->find(*this, pfn); }

uint64_t RangeTree::largest_gap() const
{
	if (root_.gap != UINT32_MAX)
		return root_.gap;
	return longest_below(root_ref_, height_);
}

// The summary saturated: only children that did can hold the longest, and gaps so long are few.
uint64_t RangeTree::longest_below(NodeRef ref, uint32_t height) const
{
	uint64_t longest = 0;
	if (height == 0) {
		const Leaf &leaf = pool_->leaf(ref);
		for (unsigned i = 0; i < leaf.n; ++i) {
			if (leaf.value(i) == 0)
				longest = std::max(longest, leaf.end_of(i) - leaf.start_of(i));
		}
		return longest;
	}
	const Inner &inner = pool_->inner(ref);
	for (unsigned c = 0; c < inner.n; ++c) {
		if (inner.below[c].gap == UINT32_MAX)
			longest = std::max(longest, longest_below(inner.child[c], height - 1));
	}
	return longest;
}

}  // namespace iovad::core
