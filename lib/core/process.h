// SPDX-License-Identifier: BSD-3-Clause
// Processes that share a domain, as each knows the others: the holder of a lock or a cache may have been
// killed, and others have to go on.
//
// A ProcessId is a pid, with its pid namespace in the bits above. Nobody can tell whether a process
// of another namespace is alive: it counts as alive.
#pragma once

#include <cstdint>

namespace iovad::core {

using ProcessId = uint64_t;
inline constexpr unsigned kPidBits = 22, kProcessBits = kPidBits + 28;  // the kernel's most

// Makes system calls, as does is_gone().
ProcessId this_process();
constexpr uint32_t pid_of(ProcessId process) { return process & ((1u << kPidBits) - 1); }
// It has ended, for sure. A pid that came again counts as the process it was.
bool is_gone(ProcessId process);

}  // namespace iovad::core
