// SPDX-License-Identifier: BSD-3-Clause
// librte_mempool_iovad.so: a mempool driver that gives each pool's memory an address of an
// iovad domain. For applications that are not rebuilt: testpmd -d librte_mempool_iovad.so
// --mbuf-pool-ops-name=iovad. Settings: settings.h.
//
// Free objects lie in an rte_ring, which pool_data points to, as in DPDK's own ring driver:
// get and put touch nothing else, and work in secondary processes.
#include <cerrno>
#include <cstdio>

#include <rte_common.h>
#include <rte_errno.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include "mempool/log.h"
#include "mempool/pools.h"
#include "mempool/stock_drivers.h"

namespace iovad::mempool {

namespace {

rte_ring *ring_of(const rte_mempool *pool) { return static_cast<rte_ring *>(pool->pool_data); }

int enqueue(rte_mempool *pool, void *const *objects, unsigned n)
{
	return rte_ring_enqueue_bulk(ring_of(pool), objects, n, nullptr) == 0 ? -ENOBUFS : 0;
}

int dequeue(rte_mempool *pool, void **objects, unsigned n)
{
	return rte_ring_dequeue_bulk(ring_of(pool), objects, n, nullptr) == 0 ? -ENOBUFS : 0;
}

unsigned count(const rte_mempool *pool) { return rte_ring_count(ring_of(pool)); }

int create_ring(rte_mempool *pool)
{
	char name[RTE_RING_NAMESIZE];
	if (std::snprintf(name, sizeof name, RTE_MEMPOOL_MZ_FORMAT, pool->name) >= static_cast<int>(sizeof name))
		return -ENAMETOOLONG;
	unsigned flags = RING_F_EXACT_SZ;
	flags |= pool->flags & RTE_MEMPOOL_F_SP_PUT ? RING_F_SP_ENQ : 0;
	flags |= pool->flags & RTE_MEMPOOL_F_SC_GET ? RING_F_SC_DEQ : 0;
	pool->pool_data = rte_ring_create(name, pool->size, pool->socket_id, flags);
	return pool->pool_data ? 0 : -rte_errno;
}

int alloc(rte_mempool *pool)
{
	if (const int error = open_pool(pool))
		return error;
	const int error = create_ring(pool);
	if (error != 0)
		close_pool(pool);
	return error;
}

void free(rte_mempool *pool)
{
	close_pool(pool);
	rte_ring_free(ring_of(pool));
}

// The address that EAL has for this memory is not the one that devices are to use.
int populate(rte_mempool *pool, unsigned max_objects, void *va, rte_iova_t, size_t len,
	     rte_mempool_populate_obj_cb_t *each, void *arg)
{
	rte_iova_t iova;
	if (const int error = map_chunk(pool, va, len, iova))
		return error;
	const int n = rte_mempool_op_populate_helper(pool, 0, max_objects, va, iova, len, each, arg);
	if (n <= 0)
		unmap_last_chunk(pool);
	return n;
}

rte_mempool_ops make_ops()
{
	rte_mempool_ops ops{};
	std::snprintf(ops.name, sizeof ops.name, "iovad");
	ops.alloc = alloc;
	ops.free = free;
	ops.enqueue = enqueue;
	ops.dequeue = dequeue;
	ops.get_count = count;
	ops.populate = populate;
	return ops;
}

}  // namespace

int logtype;

}  // namespace iovad::mempool

RTE_INIT(iovad_mempool_register)
{
	using namespace iovad::mempool;
	logtype = rte_log_register_type_and_pick_level("iovad.mempool", RTE_LOG_NOTICE);
	load_stock_drivers();
	const rte_mempool_ops ops = make_ops();
	if (const int index = rte_mempool_register_ops(&ops); index < 0)
		MEMPOOL_LOG(CRIT, "the driver is not available: %s (DPDK has room for %d mempool drivers)",
			    index == -ENOSPC ? "other drivers took all slots" : rte_strerror(-index),
			    RTE_MEMPOOL_MAX_OPS_IDX);
}
