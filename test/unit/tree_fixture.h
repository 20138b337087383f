// SPDX-License-Identifier: BSD-3-Clause
// A range tree with memory of its own.
#pragma once

#include <cstdlib>
#include <memory>

#include "core/range_tree/range_tree.h"
#include "random.h"

namespace iovad::core {

struct FreeDeleter {
	void operator()(void *p) const { std::free(p); }
};

// A tree over [first, end), with a border in it, and room for `nodes` nodes, in exactly sized
// memory, so that the address sanitizer sees a step outside.
class OwnedTree {
public:
	OwnedTree(Pfn first, Pfn end, uint32_t nodes)
		: memory_(std::aligned_alloc(64, size_t{nodes} * kNodeBytes))
	{
		pool.init(memory_.get(), nodes);
		tree.init(&pool, first, end, first + (end - first) / 3);
	}

	NodePool pool;
	RangeTree tree;

private:
	std::unique_ptr<void, FreeDeleter> memory_;
};

}  // namespace iovad::core
