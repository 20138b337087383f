/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the iovad authors
 */

/**
 * @file
 * See @ref iovad_ethdev.
 *
 * @defgroup iovad_ethdev Packet pools, heaps and ports
 * iovad: packet memory and heaps that lie in a domain, and packets through bounce pools.
 *
 * DPDK gives devices the virtual or the physical address of a buffer.
 * What is created here has an address of the domain instead, under a limit.
 *
 * Primary process only; these functions may sleep.
 *
 * @{
 */
#ifndef IOVAD_ETHDEV_H
#define IOVAD_ETHDEV_H

#include <iovad/iovad_bounce.h>

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
 * rte_mempool_free() unmaps it; memory that cannot be unmapped then, because it is also mapped with
 * iovad_map() or the backend fails, stays reserved (the log says so).
 * @param name, n, cache_size, priv_size, data_room_size, socket_id as rte_pktmbuf_pool_create().
 * @param d domain.
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
 * so that descriptor rings, memzones and pools can lie there: what is allocated on the
 * heap's socket id, rte_malloc_heap_get_socket(), has addresses of the domain.
 * Secondary processes cannot use its memory. In EAL's VFIO container each page is
 * a mapping of its own, so that with small pages few heaps fit into VFIO's limit of 65535 mappings.
 * @param d domain.
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
 * @param d, name as iovad_heap_create().
 * @return 0; -EINVAL an argument is NULL; -ENOENT the domain has no such heap;
 *   -EBUSY something is still allocated on it, or mapped with iovad_map(), and it works as
 *   before; -EIO as iovad_unmap(): the heap is gone, its pages stay.
 */
IOVAD_API int iovad_heap_destroy(struct iovad_domain *d, const char *name);

/**
 * @name Packets through a bounce pool
 * The code of the application that sends and receives need not know of it. Pools: iovad_bounce.h.
 *
 * Sending: on ports with bounce enabled, a packet with a segment that the device cannot read is
 * replaced, in the array given to rte_eth_tx_burst(), by mbufs whose data is a copy in the pool.
 * Order, segments, offloads and dynamic fields are kept, and the original is freed once it is
 * copied, as a driver would. So do not give the array to another port, and do not look in it for what was
 * sent; and of the mbufs that were not sent, the private area is not the application's. A segment is within reach if it is
 * mapped, for the device to read, in the pool's domain at the address that its mbuf says (or if EAL has mapped
 * it, where the domain is in EAL's VFIO container). Packets within reach pass untouched.
 * Where a packet finds no slot or mbuf, it and those behind it are not sent, as if the
 * transmit queue were full: rte_eth_tx_burst() says how many were sent, and the others, in the
 * array, are the caller's. So nothing is lost. The slot is freed when the driver frees
 * the mbuf. When slots run out the driver is asked to free (rte_eth_tx_done_cleanup()), but not all drivers can be asked, and
 * many free what was sent only when they need its descriptor again. If the pool has fewer slots than the queues have
 * descriptors, that never happens, and nothing would be sent any more: so such a pool is refused.
 *
 * Receiving: for a queue that was set up with a packet pool of iovad_bounce_pktmbuf_pool_create(),
 * each packet is copied into mbufs of that pool's target, which the application gets: it never sees
 * memory that the device can still write. All that the driver said of the packet is kept. Where the
 * target is empty, or the driver says that more was received than there is room for, the packet is
 * dropped and counted. Packets of other pools pass untouched.
 * @{
 */

/** What iovad_ethdev_bounce_stats_get() reads. */
struct iovad_ethdev_bounce_stats {
	uint64_t tx_passed;            /**< packets within reach */
	uint64_t tx_copied;            /**< packets that were copied into the pool */
	uint64_t tx_copied_bytes;      /**< of these */
	uint64_t tx_mapped;            /**< packets that were mapped, see iovad_ethdev_bounce_copy_max() */
	uint64_t tx_mapped_bytes;      /**< of these */
	uint64_t tx_waits;             /**< bursts that were cut short: no slot, or no mbuf */
	uint64_t tx_held_back;         /**< packets in these, each time */
	uint64_t rx_passed;            /**< packets of other pools */
	uint64_t rx_copied;            /**< packets that were copied out of the pool */
	uint64_t rx_copied_bytes;      /**< of these */
	uint64_t rx_dropped_nombuf;    /**< the target was empty, or its mbufs are too small */
	uint64_t rx_dropped_length;    /**< the driver, or the device, gave a length beyond the buffer */
};

/**
 * Send and receive through the pool from now on, on all queues that the port has now. May be
 * called while they are in use. With VFIO, the port's device must be in the container of the
 * pool's domain. Set up the queues before, with their descriptors and offloads. To change these, or the
 * number of queues, disable the port first and enable it again: a change while it is enabled is not noticed, and
 * RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE would then lose slots.
 *
 * The pool's max_bytes must allow a slot, for a packet of the port's MTU, for each descriptor of the transmit
 * queues, beside what packet pools and other ports take of it. That costs addresses; memory comes as it is
 * needed. It holds also for a port that will only receive, or map what it sends (iovad_ethdev_bounce_copy_max()
 * with 0): that is not known beforehand. The log warns where the driver does not say how many descriptors there are
 * (rte_eth_tx_queue_info_get()), and where the pool is smaller now and nobody runs the control lcore.
 *
 * Rx callbacks of the application run after the packets were copied. So do Tx callbacks that it adds later; those that it
 * added before run before.
 * @param port_id of an Ethernet device.
 * @param p pool; must stay until the port is disabled and its packets have come back.
 * @return 0; -EINVAL p is NULL, or the port has no queues yet; -ENODEV there is no such port; -EBUSY
 *   it is enabled already; -ENOTSUP the port was configured with RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE, with
 *   which drivers do not tell when a buffer is free, or with RTE_ETH_TX_OFFLOAD_MT_LOCKFREE, or belongs
 *   to a bonded port, which may send the same mbufs through several, or
 *   this DPDK has no Rx and Tx callbacks, or its mbufs hold no IOVA; -ENOSPC the pool can never have slots for all
 *   that the transmit queues can hold (the log says how many); -ENOMEM.
 */
IOVAD_API int iovad_ethdev_bounce_enable(uint16_t port_id, struct iovad_bounce_pool *p);

/**
 * Packets pass untouched from now on, also those in memory that the device can write. May be called
 * while queues are in use, but not from an Rx or Tx callback; waits for callbacks that run. The slots of packets in
 * flight are freed when the driver frees these packets: until then
 * the pool cannot be destroyed. Closing a port disables it. The mbufs that stood for its packets are freed
 * when all have been back for a second, by the control lcore, or when a port is enabled, disabled or closed.
 * @param port_id of an Ethernet device.
 * @return 0; -ENODEV there is no such port; -ENOENT it is not enabled.
 */
IOVAD_API int iovad_ethdev_bounce_disable(uint16_t port_id);

/**
 * Copy packets out of reach that have at most so many bytes. Longer ones are mapped by iovad_map() until the driver
 * frees them, and in a lazy domain for its lazy_max_age_us after that; meanwhile the device also reaches what shares
 * their pages. Where mapping fails they are copied; memory that cannot be unmapped again is never freed.
 * iovad_map() may block: see there.
 * @param port_id of an Ethernet device.
 * @param bytes UINT32_MAX, the default: all are copied, since that is cheaper up to sizes that no packet
 *   has (`iovad-perf bounce` measures where that ends; 28 KiB with the software IOMMU). 0: none.
 * @return 0; -ENODEV there is no such port; -ENOENT it is not enabled.
 */
IOVAD_API int iovad_ethdev_bounce_copy_max(uint16_t port_id, uint32_t bytes);

/**
 * Read the counters since the port was enabled: sums over its queues, not of one moment. After it was disabled, their
 * last values. Telemetry has them too: /iovad/ethdev.
 * @param port_id of an Ethernet device.
 * @param out where they go.
 * @return 0; -EINVAL out is NULL; -ENODEV there is no such port; -ENOENT it was never enabled, or could not be the
 *   last time.
 */
IOVAD_API int iovad_ethdev_bounce_stats_get(uint16_t port_id, struct iovad_ethdev_bounce_stats *out);

/**
 * As rte_pktmbuf_pool_create(), for Rx queues: the buffers lie in slots of the bounce pool (of 2 MiB
 * where it has such), the mbufs themselves where no device reaches them. Buffers are as large
 * as those of target. Use it for queues of ports that are enabled with any bounce pool: on others the application would
 * get mbufs in memory that the device can write. rte_mempool_free() gives the slots back.
 * @param name, n, cache_size as rte_pktmbuf_pool_create().
 * @param p where the buffers lie.
 * @param target packet pool of the application's, anywhere, that stays until this one is freed.
 * @return the pool, or NULL with rte_errno: as rte_pktmbuf_pool_create(); EINVAL also where p or target
 *   is NULL or target is no packet pool, or has no room for data; ENOTSUP this DPDK's mbufs hold no IOVA;
 *   EAGAIN, ENOSPC as iovad_bounce_map(): make the bounce pool with enough initial_bytes.
 */
IOVAD_API struct rte_mempool *iovad_bounce_pktmbuf_pool_create(const char *name, unsigned int n,
		unsigned int cache_size, struct iovad_bounce_pool *p, struct rte_mempool *target);

/** @} */
/** @} */

#ifdef __cplusplus
}
#endif

#endif /* IOVAD_ETHDEV_H */
