// SPDX-License-Identifier: BSD-3-Clause
// What follows a port's name in --vdev=net_iovad_loop0,key=value[,key=value...]. doc/loop.md is
// the reference of the keys.
#pragma once

#include <cstdint>
#include <string>

#include <rte_ether.h>

#include "iovad/iovad.h"
#include "loop/wire.h"

namespace iovad::loop {

// Ports are named so, and a number.
inline constexpr char kDriverName[] = "net_iovad_loop";

struct Settings {
	char domain[IOVAD_NAME_MAX + 1] = "mempool";  // where the mempool driver puts its pools
	std::string peer;          // who gets what is sent
	bool panic = false;        // at the first misuse
	uint32_t delay = 0;        // descriptors by which the device is late
	uint16_t queues = 16;      // pairs, at most
	rte_ether_addr mac{};

	// For a port of this name. 0 or a negative errno, logged.
	int read(const std::string &port, const char *text);
};

}  // namespace iovad::loop
