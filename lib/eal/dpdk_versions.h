// SPDX-License-Identifier: BSD-3-Clause
// What differs among the versions of DPDK that iovad builds with.
#pragma once

#include <cstdint>

#include <rte_config.h>
#include <rte_ethdev.h>
#include <rte_telemetry.h>
#include <rte_version.h>

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

// What a port that belongs to a bonded one is called since 23.11, in info's dev_flags.
#if defined(RTE_ETH_DEV_BONDING_MEMBER)
inline constexpr uint32_t kBondingMember = RTE_ETH_DEV_BONDING_MEMBER;
#else
inline constexpr uint32_t kBondingMember = RTE_ETH_DEV_BONDED_SLAVE;
#endif

// Telemetry says uint since 23.03 where it said u64.
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
inline constexpr rte_tel_value_type kTelemetryUint = RTE_TEL_UINT_VAL;
inline int add_uint(rte_tel_data *dict, const char *name, uint64_t value)
{
	return rte_tel_data_add_dict_uint(dict, name, value);
}
inline int add_uint(rte_tel_data *array, uint64_t value) { return rte_tel_data_add_array_uint(array, value); }
#else
inline constexpr rte_tel_value_type kTelemetryUint = RTE_TEL_U64_VAL;
inline int add_uint(rte_tel_data *dict, const char *name, uint64_t value)
{
	return rte_tel_data_add_dict_u64(dict, name, value);
}
inline int add_uint(rte_tel_data *array, uint64_t value) { return rte_tel_data_add_array_u64(array, value); }
#endif

}  // namespace iovad::eal
