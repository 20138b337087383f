// SPDX-License-Identifier: BSD-3-Clause
// The node kernels as tables, so that a test can hold one set against another. Each
// table is compiled for its own instruction set.
#pragma once

#include "core/range_tree/kernels_portable.h"
#include "core/range_tree/range_tree.h"
#include "tree_fixture.h"

namespace iovad::core {

struct NodeKernels {
	Isa isa;
	unsigned (*rank)(const Leaf &, int32_t key);
	unsigned (*child_of)(const Inner &, Pfn pfn);
	uint32_t (*candidates)(const Inner &, Summary least);
	int (*highest_fit)(const Leaf &, const LeafRequest &);
	Summary (*summarize_leaf)(const Leaf &, unsigned skip);
	Summary (*summarize_inner)(const Inner &, unsigned c, Summary s);
	void (*open)(Leaf &, unsigned at, unsigned by);
	void (*close)(Leaf &, unsigned at, unsigned by);
};

template <class K> constexpr NodeKernels node_kernels(Isa isa)
{
	return {
		isa,
		[](const Leaf &leaf, int32_t key) { return K::rank(leaf, key); },
		[](const Inner &node, Pfn pfn) { return K::child_of(node, pfn); },
		[](const Inner &node, Summary least) { return K::candidates(node, least); },
		[](const Leaf &leaf, const LeafRequest &r) { return K::highest_fit(leaf, r); },
		[](const Leaf &leaf, unsigned skip) { return K::summarize(leaf, skip); },
		[](const Inner &node, unsigned c, Summary s) { return K::summarize(node, c, s); },
		[](Leaf &leaf, unsigned at, unsigned by) { K::open(leaf, at, by); },
		[](Leaf &leaf, unsigned at, unsigned by) { K::close(leaf, at, by); },
	};
}

extern const NodeKernels kPortableKernels;
extern const NodeKernels kAvx2Kernels;
extern const NodeKernels kAvx512Kernels;

}  // namespace iovad::core
