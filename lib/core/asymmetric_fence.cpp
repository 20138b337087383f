// SPDX-License-Identifier: BSD-3-Clause
#include "core/asymmetric_fence.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace iovad::core::asymmetric_fence {

namespace {

bool membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0) == 0; }

}  // namespace

// "Global": threads of other processes that enabled it, too, since caches lie in memory
// that processes share.
bool enable() { return membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED); }

void heavy() { membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED); }

}  // namespace iovad::core::asymmetric_fence
