// SPDX-License-Identifier: BSD-3-Clause
// Who owns each granule, as seen from outside the allocator: the witness that no two live ranges
// overlap. Exact: a range is claimed after its allocation returned and released before its free is
// called, so at no time does it show an owner whose range is not live. Two owners of a granule at
// once therefore are two live ranges, and the exchange of the second sees the mark of the first.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace iovad::perf {

class Ownership {
public:
	static constexpr uint32_t kNobody = UINT32_MAX;

	// Granules of [first, last]; both ends granule-aligned, last the last byte.
	Ownership(uint64_t first, uint64_t last, uint64_t granule)
		: first_(first), granule_(granule), marks_((last + 1 - first) / granule)
	{
	}

	// Who owned a granule of the range before, kNobody where all were free. Marks are owner+1.
	// Relaxed, here and below: exchanges of one granule have one order, whatever the others' is,
	// and a stale mark needs an allocator that hands an address on without ordering the two owners;
	// that would be its error.
	uint32_t claim(uint64_t iova, uint64_t len, uint32_t owner) noexcept
	{
		uint32_t before = kNobody;
		for (size_t i = index(iova); i < index(iova + len); i++) {
			const uint32_t mark = marks_[i].exchange(owner + 1, std::memory_order_relaxed);
			if (mark != 0)
				before = mark - 1;
		}
		return before;
	}

	// Leaves granules alone that somebody else has claimed meanwhile: that was reported then.
	void release(uint64_t iova, uint64_t len, uint32_t owner) noexcept
	{
		for (size_t i = index(iova); i < index(iova + len); i++) {
			uint32_t mine = owner + 1;
			marks_[i].compare_exchange_strong(mine, 0, std::memory_order_relaxed);
		}
	}

	uint64_t owned_granules() const noexcept
	{
		uint64_t owned = 0;
		for (const auto &mark : marks_)
			owned += mark.load(std::memory_order_relaxed) != 0;
		return owned;
	}

private:
	size_t index(uint64_t iova) const { return size_t((iova - first_) / granule_); }

	uint64_t first_;
	uint64_t granule_;
	std::vector<std::atomic<uint32_t>> marks_;
};

}  // namespace iovad::perf
