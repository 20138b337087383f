// SPDX-License-Identifier: BSD-3-Clause
// librte_mempool_iovad.so: a mempool driver that gives each pool's memory an address of an
// iovad domain. For applications that are not rebuilt: testpmd -d librte_mempool_iovad.so
// --mbuf-pool-ops-name=iovad. Settings: settings.h.
//
// pool_data points to the free objects: get and put touch nothing else, and work in
// secondary processes.
#include <cerrno>
#include <cstdio>

#include <rte_common.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mempool.h>

#include <pthread.h>

#include "mempool/free_objects.h"
#include "mempool/log.h"
#include "mempool/pools.h"
#include "mempool/stock_drivers.h"

namespace iovad::mempool {

namespace {

FreeObjects *objects_of(const rte_mempool *pool) { return static_cast<FreeObjects *>(pool->pool_data); }

int enqueue(rte_mempool *pool, void *const *objects, unsigned n)
{
	return objects_of(pool)->put(rte_lcore_id(), objects, n) ? 0 : -ENOBUFS;
}

int dequeue(rte_mempool *pool, void **objects, unsigned n)
{
	return objects_of(pool)->get(rte_lcore_id(), objects, n) ? 0 : -ENOBUFS;
}

unsigned count(const rte_mempool *pool) { return objects_of(pool)->count(); }

// A pool's memory goes back to EAL before its driver is called: by then others may have it.
void on_event(rte_mempool_event event, rte_mempool *pool, void *)
{
	if (event == RTE_MEMPOOL_EVENT_DESTROY)
		unmap_pool(pool);
}

// Once a process: EAL keeps it.
int watch_pools()
{
	static const int error = rte_mempool_event_callback_register(on_event, nullptr) == 0 ? 0 : -rte_errno;
	if (error != 0)
		MEMPOOL_LOG(ERR, "the end of pools cannot be watched: %s", rte_strerror(-error));
	return error;
}

int alloc(rte_mempool *pool)
{
	if (const int error = watch_pools())
		return error;
	if (const int error = open_pool(pool))
		return error;
	pool->pool_data = FreeObjects::create(pool->size, pool->socket_id);
	if (!pool->pool_data)
		close_pool(pool);
	return pool->pool_data ? 0 : -ENOMEM;
}

void free(rte_mempool *pool)
{
	close_pool(pool);
	FreeObjects::destroy(objects_of(pool));
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
	// A program that this is linked to may become a daemon after this.
	iovad::core::SpinLock::introduce();
	pthread_atfork(nullptr, nullptr, [] { iovad::core::SpinLock::introduce(); });
	load_stock_drivers();
	const rte_mempool_ops ops = make_ops();
	if (const int index = rte_mempool_register_ops(&ops); index < 0)
		MEMPOOL_LOG(CRIT, "the driver is not available: %s (DPDK has room for %d mempool drivers)",
			    index == -ENOSPC ? "other drivers took all slots" : rte_strerror(-index),
			    RTE_MEMPOOL_MAX_OPS_IDX);
}
