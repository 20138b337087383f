// SPDX-License-Identifier: BSD-3-Clause
// A range tree with memory of its own.
#pragma once

#include <cstdlib>
#include <memory>

#include "core/range_tree/range_tree.h"

namespace iovad::core {

struct FreeDeleter {
	void operator()(void *p) const { std::free(p); }
};

// A tree over [first, end) with room for `nodes` nodes, in exactly sized memory, so
// that the address sanitizer sees a step outside.
class OwnedTree {
public:
	OwnedTree(Pfn first, Pfn end, uint32_t nodes)
		: memory_(std::aligned_alloc(64, size_t{nodes} * kNodeBytes))
	{
		pool.init(memory_.get(), nodes);
		tree.init(&pool, first, end);
	}

	NodePool pool;
	RangeTree tree;

private:
	std::unique_ptr<void, FreeDeleter> memory_;
};

// splitmix64: every bit is good (the low bit of a linear congruence is not).
class Random {
public:
	explicit Random(uint64_t seed) : state_(seed) {}
	uint64_t next()
	{
		uint64_t z = state_ += 0x9e3779b97f4a7c15;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		return z ^ z >> 31;
	}
	uint64_t below(uint64_t n) { return next() % n; }

private:
	uint64_t state_;
};

}  // namespace iovad::core
