// SPDX-License-Identifier: BSD-3-Clause
// Counts of values in buckets whose width grows with the value: exact below 128, then 64 buckets for
// each power of two, so that a percentile is at most 1/64 (1.6 %) too high. From 0 to 2^64 - 1; 30 KiB.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace iovad::perf {

class Histogram {
public:
	void record(uint64_t value) noexcept
	{
		counts_[bucket(value)]++;
		count_++;
		sum_ += value;
		max_ = std::max(max_, value);
	}

	void merge(const Histogram &other) noexcept
	{
		for (size_t i = 0; i < kBuckets; i++)
			counts_[i] += other.counts_[i];
		count_ += other.count_;
		sum_ += other.sum_;
		max_ = std::max(max_, other.max_);
	}

	uint64_t count() const { return count_; }
	uint64_t sum() const { return sum_; }
	uint64_t max() const { return max_; }
	double mean() const { return count_ == 0 ? 0 : double(sum_) / double(count_); }

	// The smallest value that at least per_10000 / 10000 of all are not above, rounded up to its
	// bucket's end; 5000 is the median, 9999 is p99.99. A fraction of whole numbers, because 99.9
	// is none of the floating point. 0 where nothing was recorded.
	uint64_t percentile(unsigned per_10000) const
	{
		const uint64_t rank = std::max<uint64_t>(1, (count_ * per_10000 + 9999) / 10000);
		uint64_t below = 0;
		for (size_t i = 0; i < kBuckets; i++) {
			below += counts_[i];
			if (below >= rank)
				return std::min(bucket_end(i), max_);
		}
		return max_;
	}

private:
	static constexpr unsigned kSubBits = 6;
	static constexpr size_t kBuckets = size_t(64 - kSubBits + 1) << kSubBits;

	// With s the shift that leaves kSubBits + 1 significant bits: s * 64 + (value >> s).
	// Continuous, as value >> s lies in [64, 128) for every s but 0.
	static size_t bucket(uint64_t value)
	{
		const int shift = std::max(0, int(std::bit_width(value)) - int(kSubBits + 1));
		return (size_t(shift) << kSubBits) + size_t(value >> shift);
	}

	static uint64_t bucket_end(size_t index)
	{
		if (index < size_t(2) << kSubBits)
			return index;
		const size_t shift = (index >> kSubBits) - 1;
		const uint64_t top = index - (shift << kSubBits);
		return ((top + 1) << shift) - 1;  // of the last bucket: 2^64 - 1, by wrapping
	}

	std::array<uint64_t, kBuckets> counts_ = {};
	uint64_t count_ = 0;
	uint64_t sum_ = 0;
	uint64_t max_ = 0;
};

}  // namespace iovad::perf
