// SPDX-License-Identifier: BSD-3-Clause
// The C API of packet pools and heaps, and of packets through bounce pools.
#include "iovad/iovad_ethdev.h"

#include <cerrno>

#include <rte_errno.h>

#include "eal/bounce/pktmbuf_pool.h"
#include "eal/ethdev/bounce.h"
#include "eal/pools/heap.h"
#include "eal/pools/pktmbuf_pool.h"

struct rte_mempool *iovad_pktmbuf_pool_create(const char *name, unsigned int n, unsigned int cache_size,
					      uint16_t priv_size, uint16_t data_room_size, int socket_id,
					      struct iovad_domain *d, uint64_t limit)
{
	if (!d || !name) {
		rte_errno = EINVAL;
		return nullptr;
	}
	return iovad::eal::create_pktmbuf_pool(*d, {name, n, cache_size, priv_size, data_room_size, socket_id, limit});
}

int iovad_heap_create(struct iovad_domain *d, const char *name, uint64_t len, uint64_t page_size, uint64_t limit)
{
	return d && name ? iovad::eal::create_heap(*d, name, len, page_size, limit) : -EINVAL;
}

int iovad_heap_destroy(struct iovad_domain *d, const char *name)
{
	return d && name ? iovad::eal::destroy_heap(*d, name) : -EINVAL;
}

int iovad_ethdev_bounce_enable(uint16_t port_id, struct iovad_bounce_pool *p)
{
	return p ? iovad::eal::enable_ethdev_bounce(port_id, *p) : -EINVAL;
}

int iovad_ethdev_bounce_disable(uint16_t port_id) { return iovad::eal::disable_ethdev_bounce(port_id); }

int iovad_ethdev_bounce_copy_max(uint16_t port_id, uint32_t bytes)
{
	return iovad::eal::set_ethdev_bounce_copy_max(port_id, bytes);
}

int iovad_ethdev_bounce_stats_get(uint16_t port_id, struct iovad_ethdev_bounce_stats *out)
{
	return out ? iovad::eal::read_ethdev_bounce_stats(port_id, *out) : -EINVAL;
}

struct rte_mempool *iovad_bounce_pktmbuf_pool_create(const char *name, unsigned int n, unsigned int cache_size,
						     struct iovad_bounce_pool *p, struct rte_mempool *target)
{
	if (!name || !p || !target) {
		rte_errno = EINVAL;
		return nullptr;
	}
	return iovad::eal::create_bounce_pktmbuf_pool({name, n, cache_size}, *p, *target);
}
