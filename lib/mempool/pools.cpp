// SPDX-License-Identifier: BSD-3-Clause
#include "mempool/pools.h"

#include <cerrno>
#include <cinttypes>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include <rte_eal.h>
#include <rte_errno.h>

#include "eal/dpdk_versions.h"
#include "iovad/iovad_dma.h"
#include "mempool/log.h"

namespace iovad::mempool {

namespace {

struct Chunk {
	void *va;
	size_t len;
};

struct Pool {
	PoolDomain *domain;
	uint64_t limit;
	bool show;
	std::vector<Chunk> chunks;
};

std::mutex mutex;
std::map<const rte_mempool *, Pool> pools;

void unmap(const rte_mempool *pool, const Pool &p, const Chunk &chunk)
{
	if (const int error = iovad_region_remove(handle_of(p.domain), chunk.va, chunk.len))
		MEMPOOL_LOG(ERR, "pool %s: %p stays mapped: %s", pool->name, chunk.va, rte_strerror(-error));
}

// With stats=1, what is mapped is shown before.
void unmap_all(const rte_mempool *pool, Pool &p)
{
	if (p.show && is_last_user(p.domain))
		iovad_dump(handle_of(p.domain), rte_log_get_stream());
	p.show = false;
	for (const Chunk &chunk : p.chunks)
		unmap(pool, p, chunk);
	p.chunks.clear();
}

int check_process(const rte_mempool *pool)
{
	if (!eal::kMbufsHoldIova) {
		MEMPOOL_LOG(ERR, "pool %s: this DPDK was built without IOVAs in mbufs; build it with "
			    "-Denable_iova_as_pa=true", pool->name);
		return -ENOTSUP;
	}
	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		MEMPOOL_LOG(ERR, "pool %s: only the primary process can map memory: create it there", pool->name);
		return -ENOTSUP;
	}
	return 0;
}

}  // namespace

int open_pool(const rte_mempool *pool)
try {
	if (const int error = check_process(pool))
		return error;
	Settings settings;
	if (const int error = settings.read(static_cast<const char *>(pool->pool_config)))
		return error;
	std::lock_guard guard(mutex);
	if (pools.count(pool) != 0)
		return -EEXIST;
	std::map<const rte_mempool *, Pool> one;  // made before the domain: merging cannot fail
	Pool &p = one[pool];
	int error = 0;
	p.domain = acquire_domain(settings, pool->socket_id, error);
	p.limit = settings.limit;
	p.show = settings.stats;
	if (error == 0)
		pools.merge(one);
	return error;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

int map_chunk(const rte_mempool *pool, void *va, size_t len, rte_iova_t &iova)
try {
	std::lock_guard guard(mutex);
	Pool &p = pools.at(pool);
	p.chunks.reserve(p.chunks.size() + 1);
	if (const int error = iovad_region_add(handle_of(p.domain), va, len, p.limit, IOVAD_BIDIRECTIONAL, &iova)) {
		MEMPOOL_LOG(ERR, "pool %s: %zu bytes cannot be mapped at or below 0x%" PRIx64 ": %s%s", pool->name, len,
			    p.limit, rte_strerror(-error),
			    error == -EINVAL || error == -ENOSPC ? "; are first, last and limit far enough apart?" : "");
		return error;
	}
	p.chunks.push_back({va, len});
	MEMPOOL_LOG(INFO, "pool %s: %p, %zu bytes, is 0x%" PRIx64 " for devices", pool->name, va, len, iova);
	return 0;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

void unmap_last_chunk(const rte_mempool *pool)
{
	std::lock_guard guard(mutex);
	Pool &p = pools.at(pool);
	unmap(pool, p, p.chunks.back());
	p.chunks.pop_back();
}

void unmap_pool(const rte_mempool *pool)
{
	std::lock_guard guard(mutex);
	if (const auto place = pools.find(pool); place != pools.end())
		unmap_all(pool, place->second);
}

void close_pool(const rte_mempool *pool)
{
	std::lock_guard guard(mutex);
	const auto place = pools.find(pool);
	if (place == pools.end()) {
		if (pool->pool_data)  // else its opening failed
			MEMPOOL_LOG(ERR, "pool %s: freed by a process that did not create it: devices still reach its "
				    "memory", pool->name);
		return;
	}
	unmap_all(pool, place->second);
	release_domain(place->second.domain);
	pools.erase(place);
}

}  // namespace iovad::mempool
