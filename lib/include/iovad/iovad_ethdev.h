/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the iovad authors
 *
 * iovad: packet memory and heaps that lie in a domain.
 *
 * DPDK gives a buffer's address to devices as the virtual or the physical one.
 * What is made here has an address of the domain's instead, under a limit.
 *
 * Primary process only; these functions may sleep.
 */
#ifndef IOVAD_ETHDEV_H
#define IOVAD_ETHDEV_H

#include <iovad/iovad_dma.h>

#ifdef __cplusplus
extern "C" {
#endif

/* <rte_mempool.h> does not compile as C11 alone, but only with GNU's extensions. */
struct rte_mempool;

/** Longest heap name, without the NUL: DPDK's limit. */
#define IOVAD_HEAP_NAME_MAX 31

/**
 * As rte_pktmbuf_pool_create(), with the memory of the mbufs mapped in the
 * domain: their buf_iova is where devices that use the domain find them.
 * rte_mempool_free() unmaps it; memory that cannot be unmapped then, since it is mapped with
 * iovad_map() too or the backend fails, stays reserved (the log says so).
 * @param limit highest address, inclusive, that the mbufs may have.
 * @return the pool, or NULL with rte_errno: as rte_pktmbuf_pool_create(), and
 *   EINVAL d is NULL; ENOTSUP this DPDK's mbufs hold no IOVA, or the domain has
 *   no backend or belongs to another process; ENOSPC, ENOMEM, EAGAIN, EIO as
 *   iovad_region_add().
 */
IOVAD_API struct rte_mempool *iovad_pktmbuf_pool_create(const char *name, unsigned int n,
		unsigned int cache_size, uint16_t priv_size, uint16_t data_room_size,
		int socket_id, struct iovad_domain *d, uint64_t limit);

/**
 * Make a DPDK heap (rte_malloc_heap_create()) whose memory lies in the domain,
 * so that descriptor rings, memzones and pools can: what is allocated on the
 * heap's socket id, rte_malloc_heap_get_socket(), has addresses of the domain.
 * Its pages cannot be used by secondary processes. In EAL's VFIO container each of them is
 * a mapping of its own: of small pages few heaps fit into VFIO's limit of 65535.
 * @param name of the heap, at most IOVAD_HEAP_NAME_MAX characters.
 * @param len bytes, a multiple of page_size.
 * @param page_size bytes: 2 MiB or 1 GiB huge pages, which must be there, or 4 KiB;
 *   0 = 2 MiB.
 * @param limit highest address, inclusive, that the heap may have.
 * @return 0; -EINVAL an argument is NULL, or a size is none of these; -EEXIST a heap of
 *   this name exists; -ENOMEM there are not that many pages, or EAL could not map them
 *   (the log says which); -ENOTSUP, -ENOSPC,
 *   -EAGAIN, -EPERM, -EIO as iovad_region_add().
 */
IOVAD_API int iovad_heap_create(struct iovad_domain *d, const char *name, uint64_t len,
				uint64_t page_size, uint64_t limit);

/**
 * Destroy a heap of iovad_heap_create().
 * @return 0; -EINVAL an argument is NULL; -ENOENT the domain has no such heap;
 *   -EBUSY something is still allocated on it, or mapped with iovad_map(), and it works as
 *   before; -EIO as iovad_unmap(): the heap is gone, its pages stay.
 */
IOVAD_API int iovad_heap_destroy(struct iovad_domain *d, const char *name);

#ifdef __cplusplus
}
#endif

#endif /* IOVAD_ETHDEV_H */
