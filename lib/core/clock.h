// SPDX-License-Identifier: BSD-3-Clause
// The time that ages and pauses are measured in.
#pragma once

#include <cstdint>
#include <ctime>

namespace iovad::core {

inline constexpr uint64_t kMicrosecond = 1000, kMillisecond = 1000 * kMicrosecond;

// Nanoseconds of CLOCK_MONOTONIC.
inline uint64_t now_ns()
{
	timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

}  // namespace iovad::core
