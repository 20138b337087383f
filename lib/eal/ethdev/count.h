// SPDX-License-Identifier: BSD-3-Clause
// Counters of a queue: written by the thread that uses it, read by anyone.
#pragma once

#include <cstdint>

#include "core/relaxed.h"

namespace iovad::eal {

inline void count(uint64_t &counter, uint64_t n) { core::store_relaxed(counter, counter + n); }

}  // namespace iovad::eal
