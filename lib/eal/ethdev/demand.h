// SPDX-License-Identifier: BSD-3-Clause
// How many segments a port's transmit queues can hold, and whether a pool has slots for them. Drivers that
// free what was sent only when they want its descriptors again never do where slots run out before
// descriptors: nothing more is sent, and nothing comes back.
#pragma once

#include <cstdint>

#include <rte_ethdev.h>

#include "eal/bounce/pool.h"

namespace iovad::eal {

struct Demand {
	uint32_t known = 0;    // segments, of queues whose drivers say how many descriptors they have
	uint32_t assumed = 0;  // of the others, at most
	uint64_t slot = 0;     // bytes, of one for a packet of the port's MTU

	uint32_t segments() const { return known + assumed; }
	uint64_t known_bytes() const { return known * slot; }
	uint64_t bytes() const { return segments() * slot; }
};

Demand demand_of(uint16_t port, const rte_eth_dev_info &info);

// promised: bytes that other ports want of the pool. 0, or -ENOSPC, logged: it can never have so many.
// Where it may not have them the log says that.
int check_slots(uint16_t port, const Demand &demand, const iovad_bounce_pool &pool, uint64_t promised);

}  // namespace iovad::eal
