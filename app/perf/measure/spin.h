// SPDX-License-Identifier: BSD-3-Clause
// How an lcore waits for another thread.
#pragma once

#include <sched.h>

#include <rte_pause.h>

namespace iovad::perf {

template <typename Ready> void spin_until(Ready ready)
{
	for (unsigned spins = 1; !ready(); spins++) {
		rte_pause();
		// With fewer cores than lcores the one waited for needs this core.
		if (spins % 1024 == 0)
			sched_yield();
	}
}

}  // namespace iovad::perf
