// SPDX-License-Identifier: BSD-3-Clause
// The contestants of tree_bench behind one face, in page frame numbers:
//
//   Token            what an allocation returns; false where it failed
//   kHasHandles      whether Token is also a handle that frees without a search
//   take, give       allocate; free by address or by handle
//   live_bytes       metadata of what is live now
//   enter            called before each benchmark: the process's choices for this one
#pragma once

#include "baselines/augmented_rbtree.h"
#include "baselines/linear_rbtree.h"

#include "core/address_space.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace iovad::bench {

using baselines::Space;

template <class Tree>
class Baseline {
public:
	using Token = typename Tree::Handle;
	static constexpr bool kHasHandles = true;

	explicit Baseline(const Space &space) : tree_(space) {}

	Token take(std::uint64_t size, std::uint64_t align, std::uint64_t limit)
	{
		return tree_.alloc_handle(size, align, limit);
	}
	void give(std::uint64_t pfn, std::uint64_t size) { tree_.free_address(pfn, size); }
	void give(Token token) { tree_.free_handle(token); }
	static std::uint64_t pfn(Token token) { return token->lo; }
	std::size_t live_bytes() { return tree_.live_bytes(); }
	static void enter() {}

private:
	Tree tree_;
};

// The address space of a domain, without the caches above it. Frees go by address only.
template <core::Isa kIsa>
class Iovad {
public:
	using Token = std::uint64_t; // page frame number; 0 is outside the space
	static constexpr bool kHasHandles = false;
	static constexpr unsigned kFreeRun = core::AddressSpace::kFreeRun;

	explicit Iovad(const Space &space)
		: nodes_(baselines::huge_memory(std::size_t{core::kNodeBytes} * count(space)))
	{
		space_.init(nodes_.get(), count(space), space.first, space.last + 1, space.pages_below_4g);
	}

	Token take(std::uint64_t size, std::uint64_t align, std::uint64_t limit)
	{
		Token pfn = 0;
		core::Status status;
		space_.alloc_run(size, align, limit, core::kLive, &pfn, 1, status);
		return pfn;
	}
	void give(std::uint64_t pfn, std::uint64_t size) { space_.free(pfn, size, core::kLive); }
	void give_run(std::uint64_t size, std::span<const std::uint64_t, kFreeRun> pfns)
	{
		space_.free_run(size, core::kLive, pfns.data(), kFreeRun);
	}
	static std::uint64_t pfn(Token token) { return token; }
	std::size_t live_bytes() { return space_.totals().nodes * core::kNodeBytes; }
	static void enter() { core::select_isa(kIsa); }

private:
	static std::uint32_t count(const Space &space)
	{
		return core::RangeTree::nodes_for(space.max_ranges);
	}

	baselines::HugeMemory nodes_;
	core::AddressSpace space_;
};

using Linear = Baseline<baselines::LinearRbtree>;
using Augmented = Baseline<baselines::AugmentedRbtree<baselines::AlignedSearch::kExact>>;
using Padded = Baseline<baselines::AugmentedRbtree<baselines::AlignedSearch::kPadded>>;

}  // namespace iovad::bench
