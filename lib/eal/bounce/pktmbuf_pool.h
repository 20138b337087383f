// SPDX-License-Identifier: BSD-3-Clause
// Packet pools for Rx queues, whose buffers lie in slots of a bounce pool and whose mbufs lie where no
// device reaches them; and for each of them the pool that its packets are copied to.
#pragma once

#include <atomic>

#include <rte_mempool.h>

#include "iovad/iovad_bounce.h"

namespace iovad::eal {

struct BouncePktmbufPoolConf {
	const char *name;
	unsigned n, cache_size;
};
// Null with rte_errno.
rte_mempool *create_bounce_pktmbuf_pool(const BouncePktmbufPoolConf &conf, iovad_bounce_pool &pool,
					rte_mempool &target);

// Where packets of this pool are to be copied to; null: it is not one of these pools. Takes a lock.
rte_mempool *bounce_target(const rte_mempool *pool);
// Bytes of a bounce pool that these pools' buffers have.
uint64_t bounce_pktmbuf_bytes(const iovad_bounce_pool &pool);
// Changes when one of these pools has come or gone.
uint64_t bounce_targets_version();

}  // namespace iovad::eal
