/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the iovad authors
 */

/**
 * @file
 * See @ref iovad_dma.
 *
 * @defgroup iovad_dma Mapping memory
 * iovad: memory that devices reach.
 *
 * For domains with a backend: IOVAD_BACKEND_VFIO maps through an IOMMU,
 * IOVAD_BACKEND_SOFT into a page table of its own, for machines without one.
 * - iovad_map(), iovad_unmap(): one buffer for as long as a device uses it.
 * - iovad_region_add(), iovad_region_remove(): memory that stays mapped.
 * - iovad_va2iova(), iovad_iova2va(): between the two kinds of address, without a lock.
 *
 * Any address and length may be given. Whole granules are mapped, and the offset
 * in the granule is kept. So a device that may reach a buffer may also reach what
 * shares granules with it; with granules larger than a page, map only memory whose
 * pages are as large. Buffers of exactly the same pages and directions, and buffers
 * inside a region, share a mapping: each iovad_map() needs its iovad_unmap(),
 * and the last one unmaps.
 *
 * With VFIO, mappings end with the last device of the container: remove what was
 * mapped, and map it again when one has come back.
 *
 * The functions that change mappings work in the process that created the
 * domain; others get -ENOTSUP. They may block: they take the domain's lock
 * for an operation of the tree, make system calls with VFIO, and where something
 * has run out they unmap what is deferred, or wait for whoever does so. Lookups work
 * in every process, never block and are safe beside all of these.
 *
 * Not to be called from callbacks of EAL's memory events or of its walks over
 * memory segments.
 *
 * @{
 */
#ifndef IOVAD_DMA_H
#define IOVAD_DMA_H

#include <iovad/iovad.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the device does, as a mask. */
#define IOVAD_TO_DEVICE 1u      /**< the device reads the memory */
#define IOVAD_FROM_DEVICE 2u    /**< it writes it */
#define IOVAD_BIDIRECTIONAL 3u  /**< it does both */

/**
 * Let devices reach [va, va + len), and say at which address.
 *
 * The memory must stay until it is unmapped. From 2 MiB on its address is
 * congruent to va modulo 2 MiB if space allows, so that the IOMMU can use
 * large pages.
 * @param d domain.
 * @param va where the memory begins; not NULL.
 * @param len bytes, at least 1.
 * @param limit highest address, inclusive, that may be used: the device's DMA mask.
 * @param dir IOVAD_TO_DEVICE, IOVAD_FROM_DEVICE or both.
 * @param iova where va is for devices. After a failure: as it was, or RTE_BAD_IOVA in debug mode.
 * @return 0; all or nothing otherwise:
 *   -EINVAL a pointer is NULL, len is 0, the memory leaves the address space
 *   (48 bits), dir is not one of these, or no address of the domain is at or
 *   below the limit;
 *   -ENOSPC no room under the limit, or no more mappings may exist (the log
 *   says which);
 *   -ENOMEM no memory, or no more of it may be locked (the log says what to set);
 *   -EAGAIN no memory for bookkeeping (max_ranges); -EEXIST something that iovad
 *   does not know is mapped there; -EPERM the memory or the device may not be
 *   used like that; -ENOTSUP the domain has no backend, or belongs to another
 *   process; -EIO the backend failed.
 */
IOVAD_API int iovad_map(struct iovad_domain *d, void *va, uint64_t len, uint64_t limit,
			uint32_t dir, rte_iova_t *iova);

/**
 * The device is done with what iovad_map() gave: iovad_unmap_strict() or
 * iovad_unmap_lazy(), as conf.unmap_policy says.
 * @param d domain.
 * @param iova, len what iovad_map() gave, and was given.
 * @return as that one.
 */
IOVAD_HOT_API int iovad_unmap(struct iovad_domain *d, rte_iova_t iova, uint64_t len);

/**
 * Unmap now: no device reaches the memory when this returns, unless others share
 * it, and the address may be handed out again. May block: a system call with VFIO.
 * @param d domain.
 * @param iova, len what iovad_map() gave, and was given.
 * @return 0; -EINVAL d is NULL, len is 0 or too large; -ENOENT that is not mapped;
 *   -ENOTSUP as iovad_map(); -EIO the backend failed to unmap: devices may still
 *   reach the memory, which must stay; its address is quarantined and is not handed
 *   out before a later attempt succeeds.
 */
IOVAD_API int iovad_unmap_strict(struct iovad_domain *d, rte_iova_t iova, uint64_t len);

/**
 * Unmap soon: put the range into this lcore's queue, for the control lcore (iovad_control.h) to
 * unmap with its neighbours. Until then devices still reach the memory, lookups may still
 * find it, and its address is not handed out. That lasts for conf.lazy_max_age_us at most if the
 * control lcore keeps up (deferred_peak_us says how long it was), and never holds for more than
 * conf.lazy_max_bytes at once. iovad_flush() waits for the end of it.
 *
 * iovad_unmap() of a lazy domain takes no lock and makes no system call while the queue has
 * room; this function, in other domains, takes a lock. What is longer than 4095 granules
 * or than conf.lazy_max_bytes is unmapped strictly.
 *
 * So the memory may be used for something else, or given back to the system, only where
 * a late access of the device does no harm there.
 *
 * A full queue makes the caller unmap a batch of its own entries. Where no control
 * lcore has run recently, the caller unmaps all of them: this then works as
 * iovad_unmap_strict() does. Both are counted as `helps`.
 * @param d, iova, len as iovad_unmap_strict().
 * @return 0; -EINVAL, -ENOTSUP as iovad_unmap_strict(), and where the caller unmaps at once
 *   also -ENOENT and -EIO. Otherwise what is not mapped with that
 *   length is found later: logged, and counted as `bad_unmaps`. Unmapping twice may end
 *   the mapping of whoever got the address next, if its length is the same. With
 *   IOVAD_DOMAIN_F_DEBUG it is found at once, -ENOENT, unless the address has come again with
 *   that length, or others still use the same region. Where unmapping fails later, the
 *   range is quarantined and that is logged.
 */
IOVAD_API int iovad_unmap_lazy(struct iovad_domain *d, rte_iova_t iova, uint64_t len);

/**
 * Let devices reach [va, va + len) until iovad_region_remove(). If the backend pins
 * memory, large memory is first faulted in, by several threads. Takes a mutex.
 * @param d domain.
 * @param va where the memory begins; not NULL.
 * @param len bytes, at least 1.
 * @param limit, dir, iova as iovad_map().
 * @return as iovad_map(); -EEXIST also where the memory overlaps another region;
 *   -EFAULT there is no such memory, or it cannot be written and dir says it is.
 */
IOVAD_API int iovad_region_add(struct iovad_domain *d, void *va, uint64_t len, uint64_t limit,
			       uint32_t dir, rte_iova_t *iova);

/**
 * End what iovad_region_add() began. Takes a mutex.
 * @param d domain.
 * @param va, len as given there.
 * @return 0; -EINVAL d or va is NULL; -ENOENT there is no such region; -EBUSY
 *   buffers in it are mapped with iovad_map(); -ENOTSUP, -EIO as iovad_unmap().
 */
IOVAD_API int iovad_region_remove(struct iovad_domain *d, void *va, uint64_t len);

/**
 * Where devices find [va, va + len), if all of it lies in one mapping. Takes no
 * lock. Where mappings overlap, one of them is chosen. Where one other mapping overlaps
 * the beginning of the memory and a second one its end, it may not be found.
 * @param d domain.
 * @param va, len the memory; len in bytes.
 * @return the address, or RTE_BAD_IOVA: not mapped, len is 0, d is NULL, or the
 *   domain has no backend.
 */
IOVAD_API rte_iova_t iovad_va2iova(struct iovad_domain *d, const void *va, uint64_t len);

/**
 * The memory that devices reach through [iova, iova + len), if all of it lies in
 * one mapping. Takes no lock.
 * @param d domain.
 * @param iova, len the addresses; len in bytes.
 * @return its address, or NULL as iovad_va2iova().
 */
IOVAD_API void *iovad_iova2va(struct iovad_domain *d, rte_iova_t iova, uint64_t len);

/**
 * Read again what the backend can address, after a device has joined the
 * container: addresses that the device cannot use are taken out of circulation.
 * iovad_region_add() does this too.
 * With EAL's container it also finds external memory, whose addresses the application
 * chose, and keeps out of these. EAL gives no notice of such memory: so call this after
 * rte_extmem_register() and before rte_dev_dma_map(), and after rte_extmem_unregister().
 * Memory of heaps (rte_malloc_heap_memory_add()) is noticed when it comes and goes.
 * @param d domain.
 * @return 0; -EINVAL d is NULL; -EEXIST the device cannot address what is in use, or
 *   such memory is to be where addresses are in use (the log says which; the rest is
 *   taken out of circulation); -EAGAIN no memory for bookkeeping; -ENOTSUP, -EIO as iovad_map().
 */
IOVAD_API int iovad_domain_refresh(struct iovad_domain *d);

/* The rest of iovad_unmap(); not to be called otherwise. */
IOVAD_HOT_API int iovad_unmap_other(struct iovad_domain *d, rte_iova_t iova, uint64_t len);

IOVAD_INLINE int iovad_unmap(struct iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	if (d && iovad_hot_retire(IOVAD_HOT_OF(d), RTE_PER_LCORE(_lcore_id), iova, len))
		return 0;
	return iovad_unmap_other(d, iova, len);
}

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* IOVAD_DMA_H */
