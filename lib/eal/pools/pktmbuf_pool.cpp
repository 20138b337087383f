// SPDX-License-Identifier: BSD-3-Clause
#include "eal/pools/pktmbuf_pool.h"

#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#include <rte_errno.h>
#include <rte_mbuf.h>

#include "eal/domain/mapping.h"
#include "eal/dpdk_versions.h"
#include "eal/log/log.h"

namespace iovad::eal {

namespace {

// A piece of the pool's memory, mapped; undone when the mempool drops it. Memory that cannot
// be unmapped stays reserved: devices may still write to it.
struct Chunk {
	iovad_domain &domain;
	const rte_memzone *zone = nullptr;
	rte_iova_t iova = RTE_BAD_IOVA;

	explicit Chunk(iovad_domain &d) : domain(d) {}
	~Chunk()
	{
		const int error = iova == RTE_BAD_IOVA ? 0 : remove_region(domain, zone->addr, zone->len);
		if (error != 0)
			IOVAD_LOG(ERR, "%s: still mapped (%s): its %zu bytes are lost", zone->name,
				  rte_strerror(-error), zone->len);
		else if (zone)
			rte_memzone_free(zone);
	}
	Chunk(const Chunk &) = delete;
	Chunk &operator=(const Chunk &) = delete;

	static void drop(rte_mempool_memhdr *, void *chunk) { delete static_cast<Chunk *>(chunk); }
};

struct PoolFree {
	// After a failure, whose errno is kept.
	void operator()(rte_mempool *pool) const
	{
		const int error = rte_errno;
		rte_mempool_free(pool);
		rte_errno = error;
	}
};
using Pool = std::unique_ptr<rte_mempool, PoolFree>;

// For as many objects as one memzone can hold; where memory is scattered, fewer. None of them
// crosses a page, as rte_mempool places them: for devices our region would be contiguous, but
// QEMU's e1000e drops frames that an emulated IOMMU does not map to one piece of memory.
const rte_memzone *reserve_zone(rte_mempool &pool, unsigned chunk, unsigned objects)
{
	char name[RTE_MEMZONE_NAMESIZE];
	if (std::snprintf(name, sizeof name, RTE_MEMPOOL_MZ_FORMAT "_%u", pool.name, chunk) >=
	    static_cast<int>(sizeof name)) {
		rte_errno = ENAMETOOLONG;
		return nullptr;
	}
	size_t page;
	if (const int error = rte_mempool_get_page_size(&pool, &page)) {
		rte_errno = -error;
		return nullptr;
	}
	const auto page_shift = static_cast<uint32_t>(std::countr_zero(page));
	for (;; objects = (objects + 1) / 2) {
		size_t least, align;
		const ssize_t bytes = rte_mempool_op_calc_mem_size_default(&pool, objects, page_shift, &least, &align);
		if (bytes < 0) {
			rte_errno = static_cast<int>(-bytes);
			return nullptr;
		}
		const rte_memzone *zone = rte_memzone_reserve_aligned(name, static_cast<size_t>(bytes), pool.socket_id, 0,
								      static_cast<unsigned>(align));
		if (zone || rte_errno != ENOMEM || objects == 1)
			return zone;
	}
}

// 0 or an errno.
int populate(iovad_domain &d, rte_mempool &pool, uint64_t limit)
{
	for (unsigned i = 0; pool.populated_size < pool.size; ++i) {
		auto chunk = std::make_unique<Chunk>(d);
		chunk->zone = reserve_zone(pool, i, pool.size - pool.populated_size);
		if (!chunk->zone)
			return rte_errno;
		rte_iova_t iova;
		if (const int error = add_region(d, chunk->zone->addr, chunk->zone->len, limit, dma::kBidirectional, iova))
			return -error;
		chunk->iova = iova;
		const int n = rte_mempool_populate_iova(&pool, static_cast<char *>(chunk->zone->addr), iova,
							chunk->zone->len, Chunk::drop, chunk.get());
		if (n <= 0)
			return n == 0 ? ENOBUFS : -n;
		chunk.release();
	}
	return 0;
}

rte_mempool *fail(int error)
{
	rte_errno = error;
	return nullptr;
}

}  // namespace

rte_mempool *create_pktmbuf_pool(iovad_domain &d, const PktmbufPoolConf &conf)
try {
	if (!kMbufsHoldIova) {
		IOVAD_LOG(ERR, "%s: this DPDK was built without IOVAs in mbufs; build it with "
			  "-Denable_iova_as_pa=true", conf.name);
		return fail(ENOTSUP);
	}
	if (!d.mapper)
		return fail(ENOTSUP);
	if (RTE_ALIGN(conf.priv_size, RTE_MBUF_PRIV_ALIGN) != conf.priv_size)
		return fail(EINVAL);
	// DPDK 22.11 finds out after it reserved memory, and leaves that behind.
	if (std::strlen(conf.name) >= RTE_MEMPOOL_NAMESIZE)
		return fail(ENAMETOOLONG);
	const unsigned element = static_cast<unsigned>(sizeof(rte_mbuf)) + conf.priv_size + conf.data_room_size;
	Pool pool(rte_mempool_create_empty(conf.name, conf.n, element, conf.cache_size,
					   sizeof(rte_pktmbuf_pool_private), conf.socket_id, 0));
	if (!pool)
		return nullptr;
	// Not the platform's best: a hardware pool knows its buffers by addresses of its own.
	if (const int error = rte_mempool_set_ops_byname(pool.get(), "ring_mp_mc", nullptr))
		return fail(-error);
	rte_pktmbuf_pool_private priv{};
	priv.mbuf_data_room_size = conf.data_room_size;
	priv.mbuf_priv_size = conf.priv_size;
	rte_pktmbuf_pool_init(pool.get(), &priv);
	if (const int error = populate(d, *pool, conf.limit))
		return fail(error);
	rte_mempool_obj_iter(pool.get(), rte_pktmbuf_init, nullptr);
	return pool.release();
} catch (const std::bad_alloc &) {
	return fail(ENOMEM);
}

}  // namespace iovad::eal
