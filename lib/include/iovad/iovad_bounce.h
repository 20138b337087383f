/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the iovad authors
 */

/**
 * @file
 * See @ref iovad_bounce.
 *
 * @defgroup iovad_bounce Bounce pools
 * iovad: bounce pools. Mapped huge-page memory that data is copied through, where the caller's
 * memory cannot be given to the device: heap or page cache, devices with fewer address bits than
 * the memory needs, devices that are not trusted, guests whose memory is confidential, and
 * packets so small that a copy is cheaper than a mapping.
 * - iovad_bounce_map(): copies in, and says where the device finds the copy.
 * - iovad_bounce_sync_for_cpu(), iovad_bounce_sync_for_device(): copy a part again, while it is mapped.
 * - iovad_bounce_unmap(): copies out what the device wrote, and gives the slot back.
 *
 * A pool owns a window of max_bytes addresses of its domain, aligned to 2 MiB. Memory comes into
 * it, and is mapped, 2 MiB at a time. Slots up to 128 KiB are powers of two from 2 KiB on, longer
 * ones multiples of 2 KiB; each is aligned to its length's next power of two, at most 2 MiB. Longer
 * slots lie in several huge pages at consecutive addresses. Each lcore caches slots of up to 128 KiB,
 * as it caches addresses: a hit takes no lock and makes no system call. A miss that memory on standby serves
 * (IOVAD_BOUNCE_F_TRANSIENT) takes a lock. Otherwise, before a map is refused, slots that other lcores cache are collected.
 *
 * The part of a slot that does not hold the caller's data is zero when the device first gets
 * it, so that no other mapping's data is seen there; but what a device itself wrote beside the data of a
 * mapping stays until that memory is used again.
 *
 * Pools grow and shrink on the control lcore (iovad_control.h) only: where none runs, a pool
 * keeps the size that it has. Each 16 MiB that it grows by is a memzone, of which EAL has 2560 by
 * default; so is its first memory, if there is so much in a row. Beside each 2 MiB, 109 KiB hold
 * what is known of its slots.
 *
 * Mapping, syncing and unmapping: any thread of the process that created the pool; two calls for one
 * mapping must not run at once. Creating and destroying may block.
 *
 * @{
 */
#ifndef IOVAD_BOUNCE_H
#define IOVAD_BOUNCE_H

#include <stdio.h>

#include <iovad/iovad_dma.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Memory that is mapped, to copy through. */
struct iovad_bounce_pool;

/** Longest name of a pool, without the NUL. */
#define IOVAD_BOUNCE_NAME_MAX 23

/* Of a pool. */
/** Serve a miss by memory that the control lcore keeps ready beyond the pool's size, and gives
 * back once nothing has used it for a while. */
#define IOVAD_BOUNCE_F_TRANSIENT (1u << 0)

/* Of iovad_bounce_map(), beside the direction. */
/** The device will write all of the memory: do not copy in what it holds now. Only with
 * IOVAD_FROM_DEVICE. */
#define IOVAD_BOUNCE_OVERWRITE (1u << 2)

/* Of iovad_bounce_unmap(). */
/** Leave the caller's memory as it is. */
#define IOVAD_BOUNCE_F_SKIP_COPY (1u << 0)

/**
 * Memory is about to be mapped; a confidential guest can share it with its host here, say.
 *
 * Called on the control lcore, or by whoever creates or destroys the pool, never on the data path:
 * it may block. It may map, unmap and sync, and must call nothing else of iovad. Lazy unmapping is held up by one such
 * call at most.
 * @param va where the memory begins.
 * @param len bytes, a multiple of 2 MiB.
 * @param opaque of the pool's conf.
 * @return 0; a negative errno refuses the memory.
 */
typedef int (*iovad_bounce_prepare_t)(void *va, uint64_t len, void *opaque);

/**
 * What was prepared is unmapped now. Called by the same, and under the same rules, as iovad_bounce_prepare_t.
 *
 * opaque must stay valid until this was called for all that was prepared. Where memory could not be unmapped (-EIO of
 * iovad_bounce_pool_destroy(), and a creation that failed) that is later, in a pass or when the domain is destroyed.
 * @param va where the memory begins.
 * @param len bytes, a multiple of 2 MiB.
 * @param opaque of the pool's conf.
 */
typedef void (*iovad_bounce_release_t)(void *va, uint64_t len, void *opaque);

/** How to create a pool; fill it with iovad_bounce_conf_init() first. */
struct iovad_bounce_conf {
	size_t size;             /**< sizeof this struct */
	const char *name;        /**< letters, digits, '_', '-'; unique in the process */
	struct iovad_domain *domain; /**< where its addresses come from; with a backend */
	int socket_id;           /**< NUMA node of the memory, or SOCKET_ID_ANY (-1) */
	uint64_t limit;          /**< highest address, inclusive, that slots may have */
	uint64_t initial_bytes;  /**< at creation, and the least it shrinks to; rounded up to 2 MiB; 0 = 2 MiB */
	uint64_t max_bytes;      /**< rounded up to 2 MiB; 0 = 64 MiB, or initial_bytes if that is more */
	uint32_t flags;          /**< IOVAD_BOUNCE_F_TRANSIENT */
	iovad_bounce_prepare_t prepare;  /**< called before memory is mapped, or NULL */
	iovad_bounce_release_t release;  /**< called after it is unmapped, or NULL */
	void *opaque;            /**< for these two */
};

/**
 * Fill conf with the defaults: no limit, SOCKET_ID_ANY, sizes as above, and no name.
 * @param conf to be filled.
 * @return 0; -EINVAL conf is NULL.
 */
IOVAD_API int iovad_bounce_conf_init(struct iovad_bounce_conf *conf);

/** Counters since creation. */
struct iovad_bounce_stats {
	uint64_t size_bytes;       /**< memory in the window, transient too */
	uint64_t used_bytes;       /**< of slots that are mapped */
	uint64_t hiwater_bytes;    /**< the most that was ever out of the free space: used, and in caches of lcores */
	uint64_t transient_bytes;  /**< of size_bytes, brought in by a miss */
	uint64_t maps;             /**< that succeeded */
	uint64_t misses;           /**< maps that found no slot at first */
	uint64_t copied_in_bytes;  /**< for devices to read */
	uint64_t copied_out_bytes; /**< that devices wrote */
	uint64_t grows;            /**< times that memory came */
	uint64_t shrinks;          /**< times that it went */
};

/**
 * Create a pool, and map its initial_bytes. May block.
 * @param conf read, and not needed afterwards.
 * @return the pool, or NULL with rte_errno: EINVAL conf is NULL, of another size, or has a wrong
 *   value (the log says which); EEXIST a pool of this name exists, or a device joined that cannot
 *   address what is in use; ENOTSUP the domain has no backend, or belongs to another process; ENOSPC no
 *   max_bytes of addresses in a row under the limit, or the backend can hold no more mappings; ENOMEM too
 *   few huge pages on the socket, no other memory, or no more of it may be locked; EAGAIN, EPERM, EIO
 *   as iovad_region_add(); or what prepare returned.
 */
IOVAD_API struct iovad_bounce_pool *iovad_bounce_pool_create(const struct iovad_bounce_conf *conf);

/**
 * Destroy a pool; may block. No thread may be in a call with the pool, or make one after this. If a device does not
 * answer, it waits for one attempt to unmap; the rest is left to the control lcore.
 * @param p pool; invalid after a return of 0 or -EIO.
 * @return 0; -EINVAL p is NULL; -EBUSY something is still mapped, a port uses the pool, or a thread was
 *   in a call (the log says which): the pool works as before, try again; -EIO its memory could not be unmapped: the
 *   pool is gone, and the memory stays reserved until it can be.
 */
IOVAD_API int iovad_bounce_pool_destroy(struct iovad_bounce_pool *p);

/**
 * Get a slot for [va, va + len), and copy the memory there unless IOVAD_BOUNCE_OVERWRITE is given. It is copied for
 * IOVAD_FROM_DEVICE too, so that what the device does not write comes back as it was.
 * The memory must stay until it is unmapped.
 * @param p pool.
 * @param va where the memory begins; not NULL.
 * @param len bytes, at least 1; at most what fits into the pool.
 * @param min_align_mask 0, or a power of two less one, below 2 MiB: the address has the same low bits
 *   as va under this mask.
 * @param dir IOVAD_TO_DEVICE, IOVAD_FROM_DEVICE (and IOVAD_BOUNCE_OVERWRITE), or
 *   IOVAD_BIDIRECTIONAL.
 * @param iova where the device finds the copy. After a failure: as it was, or RTE_BAD_IOVA in debug mode.
 * @return 0; -EINVAL a pointer is NULL, len is 0, or min_align_mask or dir is none of these;
 *   -EMSGSIZE it is longer than max_bytes; -EAGAIN no slot is free now, and the pool can grow;
 *   -ENOSPC no slot is free now, and the pool cannot grow.
 */
IOVAD_API int iovad_bounce_map(struct iovad_bounce_pool *p, void *va, uint64_t len, uint64_t min_align_mask,
			       uint32_t dir, rte_iova_t *iova);

/**
 * The device is done: copy out what it may have written (all of it, unless dir is IOVAD_TO_DEVICE
 * or flags has IOVAD_BOUNCE_F_SKIP_COPY), and free the slot.
 * @param p pool.
 * @param iova, len, dir what iovad_bounce_map() gave, and was given; without IOVAD_BOUNCE_OVERWRITE.
 * @param flags 0 or IOVAD_BOUNCE_F_SKIP_COPY.
 * @return 0, or nothing happened: -EINVAL p is NULL, len is 0, or dir or flags is unknown; -ENXIO
 *   iova is not of this pool; -ENOENT nothing is mapped there; -EALREADY it was unmapped
 *   before; -EFAULT iova lies in a mapping, or in its padding, and is not its first byte;
 *   -EACCES it was mapped for another direction; -ERANGE it is not len bytes long.
 */
IOVAD_API int iovad_bounce_unmap(struct iovad_bounce_pool *p, rte_iova_t iova, uint64_t len, uint32_t dir,
				 uint32_t flags);

/**
 * Copy out [off, off + len) of a mapping, for the CPU to read what the device has written; nothing
 * where dir is IOVAD_TO_DEVICE.
 * @param p pool.
 * @param iova what iovad_bounce_map() gave.
 * @param off bytes from the beginning of the mapping.
 * @param len bytes, at least 1.
 * @param dir what iovad_bounce_map() was given, without IOVAD_BOUNCE_OVERWRITE.
 * @return as iovad_bounce_unmap(); -ERANGE it goes beyond the mapping's end.
 */
IOVAD_API int iovad_bounce_sync_for_cpu(struct iovad_bounce_pool *p, rte_iova_t iova, uint64_t off, uint64_t len,
					uint32_t dir);

/**
 * Copy in [off, off + len) of a mapping, for the device to read what the CPU has written; nothing
 * where dir is IOVAD_FROM_DEVICE.
 * @param p, iova, off, len, dir as iovad_bounce_sync_for_cpu().
 * @return as iovad_bounce_sync_for_cpu().
 */
IOVAD_API int iovad_bounce_sync_for_device(struct iovad_bounce_pool *p, rte_iova_t iova, uint64_t off,
					   uint64_t len, uint32_t dir);

/**
 * Recompute all that is known of the pool and its slots, padding too, and compare: for tests and
 * diagnosis. Meanwhile nobody may map, sync or unmap, and no device may write to the pool. (So iovad_verify(), which may
 * run beside all that, does not look into pools.) Passes of the control lcore wait for it, and so does lazy unmapping.
 * @param p pool.
 * @param why where to write what does not hold; may be NULL.
 * @return 0 all holds; -EINVAL p is NULL; -EIO something does not; -ENOMEM no memory to compare with.
 */
IOVAD_API int iovad_bounce_verify(struct iovad_bounce_pool *p, FILE *why);

/**
 * Read the counters: sums over all lcores, not of one moment. Takes a lock.
 * @param p pool.
 * @param out where they go.
 * @return 0; -EINVAL a pointer is NULL.
 */
IOVAD_API int iovad_bounce_stats_get(struct iovad_bounce_pool *p, struct iovad_bounce_stats *out);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* IOVAD_BOUNCE_H */
