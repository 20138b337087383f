// SPDX-License-Identifier: BSD-3-Clause
// A store-load barrier whose cost lies all on the rare side (membarrier(2)): the
// frequent side needs a compiler barrier only (iovad_hot_enter). After heavy() returns, every thread of
// every process that called enable() has, at some point during the call, executed a full
// barrier. With the frequent side "store a; compiler barrier; load b" and the rare side
// "store b; heavy(); load a", not both loads can miss the other's store.
#pragma once

namespace iovad::core::asymmetric_fence {

// Once per process, before its first access. False: the kernel has no such call.
bool enable();

void heavy();

}  // namespace iovad::core::asymmetric_fence
