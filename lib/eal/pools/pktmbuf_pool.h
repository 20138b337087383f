// SPDX-License-Identifier: BSD-3-Clause
// Packet pools whose memory is a region of a domain.
#pragma once

#include <rte_mempool.h>

#include "eal/domain/handle.h"

namespace iovad::eal {

struct PktmbufPoolConf {
	const char *name;
	unsigned n, cache_size;
	uint16_t priv_size, data_room_size;
	int socket_id;
	uint64_t limit;
};

// Null with rte_errno.
rte_mempool *create_pktmbuf_pool(iovad_domain &d, const PktmbufPoolConf &conf);


}  // namespace iovad::eal
