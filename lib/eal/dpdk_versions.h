// SPDX-License-Identifier: BSD-3-Clause
// What differs among the versions of DPDK that iovad builds with.
#pragma once

#include <rte_config.h>

namespace iovad::eal {

// Whether mbufs have a field for the address that devices use. RTE_IOVA_AS_PA said so in
// 22.11, RTE_IOVA_IN_MBUF does from 23.03 on.
#if defined(RTE_IOVA_IN_MBUF)
inline constexpr bool kMbufsHoldIova = RTE_IOVA_IN_MBUF;
#elif defined(RTE_IOVA_AS_PA)
inline constexpr bool kMbufsHoldIova = RTE_IOVA_AS_PA;
#else
inline constexpr bool kMbufsHoldIova = false;
#endif

}  // namespace iovad::eal
