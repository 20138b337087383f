// SPDX-License-Identifier: BSD-3-Clause
// The control lcore as a DPDK service. EAL stops it, and frees it, in rte_eal_cleanup().
#pragma once

#include <cstdint>

namespace iovad::eal {

// 0 or a negative errno, see iovad_control.h.
int register_control_service(uint32_t &id);
// Whether a service lcore called it recently.
bool control_service_runs();

}  // namespace iovad::eal
