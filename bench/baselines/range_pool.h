// SPDX-License-Identifier: BSD-3-Clause
// What both baselines have in common besides the tree: the space they manage, the
// sentinel for "none", and range objects from an array made beforehand, so that
// nothing allocates memory while the clock runs.
//
// The array asks for huge pages: the kernel's own objects lie in its direct map, which
// has them, and so does the memory of a DPDK application.
//
// All addresses are page frame numbers; limits and last addresses are inclusive.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>

namespace iovad::baselines {

inline constexpr std::uint64_t kNone = ~std::uint64_t{0};

struct Space {
	std::uint64_t first = 1;
	std::uint64_t last = (std::uint64_t{1} << 36) - 1;
	std::uint64_t pages_below_4g = std::uint64_t{1} << 20;
	std::size_t max_ranges = 1024;
};

struct FreeMemory {
	void operator()(void *p) const { std::free(p); }
};
using HugeMemory = std::unique_ptr<void, FreeMemory>;

// On transparent huge pages where the system grants them; zeroed, thus touched.
inline HugeMemory huge_memory(std::size_t bytes)
{
	constexpr std::size_t kHugePage = std::size_t{2} << 20;
	bytes = (bytes + kHugePage - 1) / kHugePage * kHugePage;
	HugeMemory memory(std::aligned_alloc(kHugePage, bytes));
	if (!memory)
		throw std::bad_alloc();
	madvise(memory.get(), bytes, MADV_HUGEPAGE); // a wish: it may fail
	auto *byte = static_cast<unsigned char *>(memory.get());
	for (std::size_t i = 0; i < bytes; ++i)
		byte[i] = 0;
	return memory;
}

// Last in, first out, chained through the low child as the objects are in no tree.
template <class Node>
class RangePool {
	static_assert(std::is_trivially_destructible_v<Node>);

public:
	explicit RangePool(std::size_t n) : memory_(huge_memory(n * sizeof(Node)))
	{
		Node *nodes = static_cast<Node *>(memory_.get());
		for (std::size_t i = n; i-- > 0;)
			put(new (&nodes[i]) Node);
	}

	Node *get()
	{
		Node *n = free_;
		if (n)
			free_ = n->child[0];
		return n;
	}

	void put(Node *n)
	{
		n->child[0] = free_;
		free_ = n;
	}

private:
	HugeMemory memory_;
	Node *free_ = nullptr;
};

}  // namespace iovad::baselines
