// SPDX-License-Identifier: BSD-3-Clause
// Requests that searches get lost on. Each case builds its space once and then offers
//
//   before()   brings the space to its state, not timed
//   work()     kOperations requests, timed
//   after()    undoes them; false if they did not end as they must
//
// before() frees a range near the top and takes it again: the linear tree starts where
// it last stopped, so that it would repeat its last answer instead of searching, and
// its memory of failed sizes would refuse without one. Any program that frees does that.
#pragma once

#include "population.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace iovad::bench {

// Two pages, 32-bit limit, past 300000 holes of one page.
template <class Contestant>
class PastHoles {
public:
	static constexpr std::size_t kOperations = 1;

	PastHoles()
	{
		for (std::uint64_t i = 0; i <= 2 * kHoles; ++i)
			contestant_.take(1, 1, kLimit32);
		for (std::uint64_t i = 0; i < kHoles; ++i)
			contestant_.give(kLimit32 - 2 * i - 1, 1);
	}

	void before()
	{
		contestant_.give(kLimit32, 1);
		contestant_.take(1, 1, kLimit32);
	}
	void work() { token_ = take(); }
	bool after()
	{
		const bool highest = token_ && Contestant::pfn(token_) == kLimit32 - 2 * kHoles - 2;
		return give(token_) && highest;
	}

	auto take() { return contestant_.take(2, 1, kLimit32); }
	bool give(typename Contestant::Token token)
	{
		if (token)
			contestant_.give(Contestant::pfn(token), 2);
		return static_cast<bool>(token);
	}

private:
	static constexpr std::uint64_t kHoles = 300000;
	Contestant contestant_{Space{.max_ranges = 2 * kHoles + 2048}};
	typename Contestant::Token token_{};
};

// What a driver meets there: it refills a receive ring of 1024 buffers of two pages, while pages
// of others come and go near the top.
template <class Contestant>
class RefillPastHoles {
public:
	static constexpr std::size_t kOperations = 1024;

	void before() {}
	void work()
	{
		for (auto &token : tokens_) {
			holes_.before();
			token = holes_.take();
		}
	}
	bool after()
	{
		bool good = true;
		for (auto token : tokens_)
			good &= holes_.give(token);
		return good;
	}
	double round_ms(double operation_ns) const { return operation_ns * kOperations / 1e6; }

private:
	PastHoles<Contestant> holes_;
	std::array<typename Contestant::Token, kOperations> tokens_{};
};

// One page under a 32-bit limit where none is left.
template <class Contestant>
class FullSpace {
public:
	static constexpr std::size_t kOperations = 1;

	FullSpace()
	{
		for (std::uint64_t i = 0; i < kLimit32; ++i)
			contestant_.take(1, 1, kLimit32);
	}

	void before()
	{
		touched_ = (touched_ + kStride) % kLimit32;
		contestant_.give(touched_ + 1, 1);
		contestant_.take(1, 1, kLimit32);
	}
	void work() { token_ = contestant_.take(1, 1, kLimit32); }
	bool after() const { return !token_; }

private:
	static constexpr std::uint64_t kStride = 611953; // prime: visits every page
	Contestant contestant_{Space{.max_ranges = kLimit32 + 1}};
	std::uint64_t touched_ = 0;
	typename Contestant::Token token_{};
};

// 512 pages aligned to 512, past 50000 gaps of 1022 pages: each lies between two pages
// taken at every multiple of 1024, [1024 j - 1, 1024 j], and holds no such block.
template <class Contestant>
class AlignedPastMisfits {
public:
	static constexpr std::size_t kOperations = 1;

	AlignedPastMisfits()
	{
		for (std::uint64_t j = kGaps + 2; j >= 2; --j)
			contestant_.take(2, 1, kPeriod * j);
	}

	void before()
	{
		contestant_.give(kTop - 1, 2);
		contestant_.take(2, 1, kTop);
	}
	void work() { token_ = contestant_.take(512, 512, kTop); }
	bool after()
	{
		std::uint64_t pfn = token_ ? Contestant::pfn(token_) : 0;
		contestant_.give(pfn, 512);
		return pfn == kPeriod;
	}

private:
	static constexpr std::uint64_t kGaps = 50000;
	static constexpr std::uint64_t kPeriod = 1024;
	static constexpr std::uint64_t kTop = kPeriod * (kGaps + 2);
	Contestant contestant_{Space{.max_ranges = kGaps + 2}};
	typename Contestant::Token token_{};
};

// 1024 holes of 32 pages, aligned to 32, and as many requests for just that. Whoever
// asks for more than it needs goes below the holes; found() says what share did not.
template <class Contestant>
class ExactAlignedHoles {
public:
	static constexpr std::size_t kOperations = 1024;

	ExactAlignedHoles() : tokens_(kOperations)
	{
		for (std::uint64_t i = 0; i < 2 * kOperations; ++i)
			contestant_.take(kSize, kSize, kLimit32);
		for (std::uint64_t i = 0; i < kOperations; ++i)
			contestant_.give(kLimit32 + 1 - kSize * (2 * i + 2), kSize);
	}

	void before() {}
	void work()
	{
		for (auto &token : tokens_)
			token = contestant_.take(kSize, kSize, kLimit32);
	}
	bool after()
	{
		std::size_t found = 0;
		for (auto token : tokens_) {
			if (!token)
				return false;
			std::uint64_t pfn = Contestant::pfn(token);
			found += pfn >= kLimit32 + 1 - kSize * 2 * kOperations;
			contestant_.give(pfn, kSize);
		}
		found_ = static_cast<double>(found) / kOperations;
		return true;
	}
	double found() const { return found_; }

private:
	static constexpr std::uint64_t kSize = 32;
	Contestant contestant_{Space{.max_ranges = 3 * kOperations}};
	std::vector<typename Contestant::Token> tokens_;
	double found_ = 0;
};

}  // namespace iovad::bench
