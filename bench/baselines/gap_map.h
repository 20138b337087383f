// SPDX-License-Identifier: BSD-3-Clause
// Baselines for what a policy does to a space, not for speed: the gaps in a map, searched in the
// order of the policy.
//
//   first fit  from the top down, as the kernel does, and iovad
//   best fit   the shortest gap that holds the request, at its upper end
//
// All addresses are page frame numbers.
#pragma once

#include "range_pool.h"

#include <iterator>
#include <map>
#include <set>
#include <utility>

namespace iovad::baselines {

enum class Fit { kFirst, kBest };

template <Fit kFit>
class GapMap {
public:
	explicit GapMap(const Space &space) { insert(space.first, space.last + 1); }

	// align is a power of two. 0: no space.
	std::uint64_t take(std::uint64_t size, std::uint64_t align, std::uint64_t limit)
	{
		if constexpr (kFit == Fit::kBest) {
			for (auto gap = by_size_.lower_bound({size, 0}); gap != by_size_.end(); ++gap) {
				if (const std::uint64_t at = cut(gaps_.find(gap->second), size, align, limit))
					return at;
			}
		} else {
			for (auto gap = gaps_.end(); gap != gaps_.begin();) {
				if (const std::uint64_t at = cut(--gap, size, align, limit))
					return at;
			}
		}
		return 0;
	}

	void give(std::uint64_t at, std::uint64_t size)
	{
		std::uint64_t start = at, end = at + size;
		const auto above = gaps_.find(end);
		if (above != gaps_.end())
			end = remove(above);
		const auto next = gaps_.lower_bound(start);
		if (next != gaps_.begin() && std::prev(next)->second == start) {
			start = std::prev(next)->first;
			remove(std::prev(next));
		}
		insert(start, end);
	}

private:
	using Gaps = std::map<std::uint64_t, std::uint64_t>;  // start, end

	std::uint64_t cut(Gaps::iterator gap, std::uint64_t size, std::uint64_t align, std::uint64_t limit)
	{
		const auto [start, end] = *gap;
		const std::uint64_t top = limit < end ? limit + 1 : end;
		if (top < size || ((top - size) & ~(align - 1)) < start)
			return 0;
		const std::uint64_t at = (top - size) & ~(align - 1);
		remove(gap);
		if (start < at)
			insert(start, at);
		if (at + size < end)
			insert(at + size, end);
		return at;
	}

	void insert(std::uint64_t start, std::uint64_t end)
	{
		gaps_.emplace(start, end);
		by_size_.emplace(end - start, start);
	}

	std::uint64_t remove(Gaps::iterator gap)
	{
		const auto [start, end] = *gap;
		by_size_.erase({end - start, start});
		gaps_.erase(gap);
		return end;
	}

	Gaps gaps_;
	std::set<std::pair<std::uint64_t, std::uint64_t>> by_size_;
};

}  // namespace iovad::baselines
