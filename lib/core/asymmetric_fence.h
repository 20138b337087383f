// SPDX-License-Identifier: BSD-3-Clause
// A store-load barrier whose cost lies all on the rare side (membarrier(2)): the
// frequent side needs a compiler barrier only (iovad_hot_enter). After heavy() returned true, every
// thread in reach, the caller too, has, at some point during the call, executed a full
// barrier. With the frequent side "store a; compiler barrier; load b" and the rare side
// "store b; heavy(); load a", not both loads can miss the other's store.
//
// Other processes are reached by the kernel's global command, which waits for each CPU to come by:
// some milliseconds. The global expedited one is no substitute. It asks only CPUs on which the
// kernel has noted a process that registered, and misses those that were idle, with the
// process's address space still loaded, when it did: as EAL's lcores are that wait to be launched.
// Seen in Linux 6.18 as addresses owned twice.
#pragma once

#include <atomic>

namespace iovad::core::asymmetric_fence {

// Once per process, before its first call of heavy(). False: the kernel has no such call.
bool enable();

enum class Reach { this_process, all_processes };

// False: it could not be done, and nothing is known.
[[nodiscard]] bool heavy(Reach reach);

// An ordinary one, for a frequent side that cannot count on heavy().
inline void full()
{
	// gcc says that its thread sanitizer does not understand fences.
#pragma GCC diagnostic push
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wtsan"
#endif
	std::atomic_thread_fence(std::memory_order_seq_cst);
#pragma GCC diagnostic pop
}

}  // namespace iovad::core::asymmetric_fence
