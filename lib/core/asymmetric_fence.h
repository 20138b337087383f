// SPDX-License-Identifier: BSD-3-Clause
// A store-load barrier whose cost lies all on the rare side (membarrier(2)): the
// frequent side needs a compiler barrier only. After heavy() returns, every thread of
// every process that called enable() has, at some point during the call, executed a full
// barrier. With the frequent side "store a; light(); load b" and the rare side
// "store b; heavy(); load a", not both loads can miss the other's store.
#pragma once

#include <atomic>

namespace iovad::core::asymmetric_fence {

// Once per process, before its first light(). False: the kernel has no such call.
bool enable();

inline void light() { std::atomic_signal_fence(std::memory_order_seq_cst); }

void heavy();

}  // namespace iovad::core::asymmetric_fence
