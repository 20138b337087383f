// SPDX-License-Identifier: BSD-3-Clause
// How large a soak may be.
#pragma once

namespace iovad::perf {

constexpr unsigned kMostThreads = 64, kMostVisitors = 16;

}  // namespace iovad::perf
