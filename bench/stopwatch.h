// SPDX-License-Identifier: BSD-3-Clause
// Time spent in the part of a loop that is to be measured, and its operations.
#pragma once

#include <chrono>
#include <cstddef>

namespace iovad::bench {

class Stopwatch {
public:
	template <class Work>
	double time(std::size_t operations, Work &&work)
	{
		auto begin = std::chrono::steady_clock::now();
		work();
		std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
		seconds_ += spent.count();
		operations_ += static_cast<double>(operations);
		return spent.count();
	}

	double ns_per_operation() const { return operations_ > 0 ? seconds_ * 1e9 / operations_ : 0; }

private:
	double seconds_ = 0;
	double operations_ = 0;
};

// What one reading of the clock adds to whatever is timed alone.
inline double clock_ns()
{
	constexpr int kReadings = 100000;
	Stopwatch watch;
	watch.time(kReadings, [] {
		for (int i = 0; i < kReadings; ++i)
			(void)std::chrono::steady_clock::now();
	});
	return watch.ns_per_operation();
}

}  // namespace iovad::bench
