// SPDX-License-Identifier: BSD-3-Clause
// --log-level=iovad.mempool:debug shows all of it.
#pragma once

#include <rte_log.h>

namespace iovad::mempool {

extern int logtype;

}  // namespace iovad::mempool

#define MEMPOOL_LOG(level, format, ...) \
	rte_log(RTE_LOG_##level, iovad::mempool::logtype, "IOVAD_MEMPOOL: " format "\n" __VA_OPT__(, ) __VA_ARGS__)
