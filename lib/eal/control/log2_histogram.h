// SPDX-License-Identifier: BSD-3-Clause
// Counts of values by their power of two. One writer at a time; anybody reads beside it.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>

namespace iovad::eal {

class Log2Histogram {
public:
	void record(uint64_t value)
	{
		add(counts_[std::bit_width(value)], 1);
		add(count_, 1);
		if (value > max())
			max_.store(value, std::memory_order_relaxed);
	}

	uint64_t count() const { return count_.load(std::memory_order_relaxed); }
	uint64_t max() const { return max_.load(std::memory_order_relaxed); }

	// What so many percent do not exceed, rounded up to one less than a power of two. 0: nothing was recorded.
	uint64_t percentile(unsigned percent) const
	{
		const uint64_t rank = (count() * percent + 99) / 100;
		uint64_t below = 0;
		for (unsigned bits = 0; bits < kBuckets; ++bits) {
			below += counts_[bits].load(std::memory_order_relaxed);
			if (below >= rank)
				return std::min(bits == 0 ? 0 : ~uint64_t{0} >> (64 - bits), max());
		}
		return max();
	}

private:
	static constexpr unsigned kBuckets = 65;

	static void add(std::atomic<uint64_t> &to, uint64_t n)
	{
		to.store(to.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
	}

	std::atomic<uint64_t> counts_[kBuckets] = {};
	std::atomic<uint64_t> count_ = 0, max_ = 0;
};

}  // namespace iovad::eal
