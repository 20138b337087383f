// SPDX-License-Identifier: BSD-3-Clause
// Log lines of type "iovad": --log-level=iovad:debug.
#pragma once

#include <rte_log.h>

extern "C" int iovad_logtype;

#define IOVAD_LOG(level, format, ...) \
	rte_log(RTE_LOG_##level, static_cast<uint32_t>(iovad_logtype), "IOVAD: " format "\n", ##__VA_ARGS__)
