// SPDX-License-Identifier: BSD-3-Clause
#include "eal/control/idle_cpus.h"

#include <rte_lcore.h>

#include "dma/prefault.h"

namespace iovad::eal {

cpu_set_t cpus_without_lcores()
{
	cpu_set_t cpus = dma::every_cpu();
	unsigned lcore;
	RTE_LCORE_FOREACH(lcore) {
		const rte_cpuset_t busy = rte_lcore_cpuset(lcore);
		for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
			if (CPU_ISSET(cpu, &busy))
				CPU_CLR(cpu, &cpus);
		}
	}
	return cpus;
}

}  // namespace iovad::eal
