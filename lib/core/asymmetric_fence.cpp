// SPDX-License-Identifier: BSD-3-Clause
#include "core/asymmetric_fence.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace iovad::core::asymmetric_fence {

namespace {

bool membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0) == 0; }

}  // namespace

bool enable() { return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED); }

// The global command is refused where CPUs may run without a tick (nohz_full). For a process of one
// thread, or a machine of one CPU, the kernel returns at once: the caller's own fence is ours.
bool heavy(Reach reach)
{
	full();
	return membarrier(reach == Reach::this_process ? MEMBARRIER_CMD_PRIVATE_EXPEDITED : MEMBARRIER_CMD_GLOBAL);
}

}  // namespace iovad::core::asymmetric_fence
