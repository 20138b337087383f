// SPDX-License-Identifier: BSD-3-Clause
// Where threads run that are not to disturb the data path.
#pragma once

#include <sched.h>

namespace iovad::eal {

// CPUs on which no lcore of this process runs. There may be none.
cpu_set_t cpus_without_lcores();

}  // namespace iovad::eal
