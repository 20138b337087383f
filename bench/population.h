// SPDX-License-Identifier: BSD-3-Clause
// A contestant with ranges in it, in the state that a long run leaves behind.
//
// fill() takes half as many ranges again as wanted, gives a random third back, and then
// replaces as many random ranges as there are: what is live then lies between holes of
// all sizes. Populations are kept across the repetitions of a benchmark, which churn
// them on; building one takes far longer than measuring it.
#pragma once

#include "contestants.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

namespace iovad::bench {

inline constexpr std::uint64_t kLimit32 = (std::uint64_t{1} << 20) - 1;
inline constexpr std::uint64_t kLimit48 = (std::uint64_t{1} << 36) - 1;

enum class Shape {
	kPlain,   // any size at any address
	kAligned, // any size, aligned to its next power of two: what the kernel's DMA API asks for
	kBlocks,  // the next power of two of the size, aligned to that: what caches ask for
};

struct Mix {
	std::uint64_t max_size; // sizes are uniform in 1..max_size
	Shape shape;
	bool half_below_4g;     // every other range, else none
};

template <class Contestant>
class Population {
public:
	using Token = typename Contestant::Token;

	struct Range {
		Token token;
		std::uint64_t pfn;
		std::uint64_t size;
		std::uint64_t limit;
	};

	Population(std::size_t n, const Mix &mix)
		: mix_(mix), contestant_(Space{.max_ranges = n + n / 2})
	{
		fill(n);
	}

	Contestant &contestant() { return contestant_; }
	double packed_bytes() const { return packed_bytes_; }
	double bytes_per_range()
	{
		return static_cast<double>(contestant_.live_bytes()) / static_cast<double>(live_.size());
	}

	// Random ranges leave the books; the caller frees and replaces them.
	void pick(std::vector<Range> &out, std::size_t n)
	{
		out.clear();
		for (std::size_t i = 0; i < n; ++i) {
			std::swap(live_[below(live_.size())], live_.back());
			out.push_back(live_.back());
			live_.pop_back();
		}
	}

	// New sizes for them, under their old limits so that both sides keep their share.
	void resize(std::vector<Range> &ranges)
	{
		for (Range &r : ranges)
			r.size = size();
	}

	void put_back(const std::vector<Range> &ranges)
	{
		for (const Range &r : ranges) {
			if (!r.token)
				throw std::runtime_error("a request failed that has room");
			live_.push_back(r);
			live_.back().pfn = Contestant::pfn(r.token);
		}
	}

	Token take(const Range &r) { return contestant_.take(r.size, align(r.size), r.limit); }

private:
	void fill(std::size_t n)
	{
		std::vector<Range> one(1);
		live_.reserve(n + n / 2);
		auto add = [&](std::size_t i) {
			bool low = mix_.half_below_4g && i % 2;
			one[0].limit = low ? kLimit32 : kLimit48;
			resize(one);
			one[0].token = take(one[0]);
			put_back(one);
		};
		for (std::size_t i = 0; i < n; ++i)
			add(i);
		packed_bytes_ = bytes_per_range();
		for (std::size_t i = n; i < n + n / 2; ++i)
			add(i);
		for (std::size_t i = 0; i < n / 2; ++i) {
			pick(one, 1);
			contestant_.give(one[0].pfn, one[0].size);
		}
		for (std::size_t i = 0; i < n; ++i) {
			pick(one, 1);
			contestant_.give(one[0].pfn, one[0].size);
			resize(one);
			one[0].token = take(one[0]);
			put_back(one);
		}
	}

	std::uint64_t size()
	{
		std::uint64_t size = 1 + below(mix_.max_size);
		return mix_.shape == Shape::kBlocks ? std::bit_ceil(size) : size;
	}

	std::uint64_t align(std::uint64_t size) const
	{
		return mix_.shape == Shape::kPlain ? 1 : std::bit_ceil(size);
	}

	std::uint64_t below(std::uint64_t n)
	{
		return std::uniform_int_distribution<std::uint64_t>(0, n - 1)(random_);
	}

	Mix mix_;
	Contestant contestant_;
	std::vector<Range> live_;
	std::mt19937_64 random_{1};
	double packed_bytes_ = 0;
};

}  // namespace iovad::bench
