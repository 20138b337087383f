// SPDX-License-Identifier: BSD-3-Clause
// --log-level=iovad.loop:debug shows all of it.
#pragma once

#include <rte_log.h>

namespace iovad::loop {

extern int logtype;

}  // namespace iovad::loop

#define LOOP_LOG(level, format, ...) \
	rte_log(RTE_LOG_##level, static_cast<uint32_t>(iovad::loop::logtype), \
		"IOVAD_LOOP: " format "\n" __VA_OPT__(, ) __VA_ARGS__)
