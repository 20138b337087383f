/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the iovad authors
 */

/**
 * @file
 * See @ref iovad.
 *
 * @defgroup iovad Domains and addresses
 * iovad: I/O virtual addresses for DPDK applications.
 *
 * A domain is one I/O address space. Addresses are taken from it and given
 * back in bytes, in multiples of its granule. Two ways in:
 * - iovad_alloc(), iovad_free(): cached per lcore, the data path.
 * - iovad_alloc_range(), iovad_free_range(): exact, in the range tree: any length,
 *   alignment and limit, the highest fit.
 *
 * What came from one pair goes back through the same pair.
 *
 * Conventions:
 * - Errors: functions that create or look up return NULL and set rte_errno;
 *   all others return 0 or a negative errno. No exception leaves the
 *   library. A failed call changes nothing unless it says so.
 * - Threads: any thread may call any function on a live domain, EAL lcore or
 *   not. Threads without an lcore id share one locked cache.
 * - Blocking: "takes the lock" means the domain's spinlock, held for one tree
 *   operation. Nothing here sleeps except where it says so.
 * - Inline: iovad_alloc(), iovad_free(), their bulk forms and iovad_unmap() are
 *   compiled into the caller, and exported too: for pointers to them, and for other languages. The
 *   struct behind a domain stays private; a program that was built
 *   for another layout of it does not load with this library.
 * - Processes: a secondary process that is killed, wherever it is, does not stop the others. What it had
 *   been handed out stays live, for whoever knows of it to free; the control lcore (iovad_control.h) takes
 *   back what its caches held. All have to be in one pid namespace for that.
 * - Reuse: with IOVAD_BACKEND_NONE a freed address may be handed out again
 *   as soon as the free is called.
 *
 * @{
 */
#ifndef IOVAD_H
#define IOVAD_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_common.h>
#include <rte_lcore.h>

#include <iovad/iovad_hot.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IOVAD_API __attribute__((visibility("default")))
/* The data path is called through the GOT, without the detour of a PLT entry. */
#if defined(__has_attribute)
#if __has_attribute(noplt)
#define IOVAD_HOT_API IOVAD_API __attribute__((noplt))
#endif
#endif
#ifndef IOVAD_HOT_API
#define IOVAD_HOT_API IOVAD_API
#endif
/* For the compiler to inline, or to call the library's; it makes none of its own. */
#ifndef IOVAD_INLINE
#define IOVAD_INLINE extern inline __attribute__((gnu_inline))
#endif

/** What installs translations. */
enum iovad_backend {
	IOVAD_BACKEND_NONE, /**< nothing: addresses only */
	IOVAD_BACKEND_SOFT, /**< a software IOMMU, for machines without one */
	IOVAD_BACKEND_VFIO, /**< the IOMMU, through a VFIO type1 container */
};

/** When an unmapped address becomes unreachable for devices. */
enum iovad_unmap_policy {
	IOVAD_UNMAP_STRICT, /**< at once */
	IOVAD_UNMAP_LAZY,   /**< soon: see iovad_dma.h */
};

#define IOVAD_DOMAIN_F_NO_CACHE (1u << 0) /**< every request goes to the tree */
/**
 * Debug mode: find misuse at the call that commits it, and say who had the range. Also, without rebuilding,
 * by the environment variable IOVAD_DEBUG of the process that creates the domain: words, comma-separated.
 * - on: in all domains that the process creates.
 * - fatal: abort() after the first report.
 * - history=RANGES: how many ended ranges are remembered, of each domain; 0 to 1048576, 4096 by default.
 * - quarantine=RANGES: how many given-back ranges each domain holds back before it hands them out again; 0 to 65536, 1024 by default.
 *
 * All but the first also hold for domains with this flag.
 *
 * It finds: double free; free of what was never allocated; wrong length or place; free of what is mapped; unmapping twice,
 * lazily too, or what was never mapped; use of the address of a map that failed (which leaves RTE_BAD_IOVA in *iova);
 * with bounce slots also wrong directions, and syncs of what is not mapped or beyond its end; what is live when the domain
 * or the pool is to be destroyed; memory that is freed while it is mapped (EAL's when EAL takes it back; other memory
 * when it is unmapped, at iovad_verify(), and when the domain is to be destroyed, unless other memory has taken its
 * place); and an address that is handed out while it is deferred, which would be a fault of iovad's.
 *
 * Each finding is a report in the log: the domain, the range, what was expected, and the range's history: which lcore and
 * thread got it, where (a backtrace) and when, and who gave it back. Reports are counted by kind in telemetry
 * (/iovad/debug), which has the latest of them; at most five of a kind in 10 s are logged. Calls return what they would otherwise, except
 * that what the tree can find is found at once.
 *
 * A given-back range is handed out late: after quarantine=RANGES others, or when a request would be refused. So
 * a device that still uses it meets no memory, instead of somebody else's.
 *
 * Every request goes to the tree, each call costs some microseconds, and every range some 250 bytes. The history is that of
 * one process; what other processes of the domain do is not reported. Without debug mode there is no cost.
 */
#define IOVAD_DOMAIN_F_DEBUG (1u << 1)

/** Longest domain name, without the NUL. */
#define IOVAD_NAME_MAX 23

/** One I/O address space. */
struct iovad_domain;

/** How to create a domain; fill it with iovad_domain_conf_init() first. */
struct iovad_domain_conf {
	size_t size;                  /**< sizeof this struct */
	const char *name;             /**< unique, NUL-terminated, at most IOVAD_NAME_MAX */
	int socket_id;                /**< NUMA node of the metadata, or SOCKET_ID_ANY (-1) */
	enum iovad_backend backend;   /**< what translates its addresses */
	int container_fd;             /**< VFIO: -1 = EAL's default container */
	uint64_t granule;             /**< bytes, a power of two from 4 KiB to 1 GiB; 0 = the
	                                   backend's smallest page; 4096 with IOVAD_BACKEND_NONE */
	uint64_t iova_first;          /**< lowest address to hand out; 0 is never handed out */
	uint64_t iova_last;           /**< highest, inclusive; 0 = as far as the backend reaches,
	                                   2^48 - 1 with IOVAD_BACKEND_NONE */
	uint64_t max_ranges;          /**< ranges the tree must hold without growing; 0 = 65536 */
	enum iovad_unmap_policy unmap_policy; /**< of iovad_unmap(); see iovad_dma.h */
	uint64_t lazy_max_age_us;     /**< how long a device may still reach what was unmapped lazily,
	                                   while a control lcore runs; 100 to 10000000; 0 = 10000 */
	uint64_t lazy_max_bytes;      /**< how much it may reach so; at least a granule; 0 = 256 MiB, or
	                                   4096 granules where that is more */
	uint32_t flags;               /**< IOVAD_DOMAIN_F_* */
	uint32_t cache_percent;       /**< the most of the addresses below 4 GiB, and of those above,
	                                   that caches may hold; 1 to 50; 0 = 12 */
};

/** State of a range, in iovad_range.state. */
enum iovad_range_state {
	IOVAD_RANGE_LIVE = 1,         /**< handed out, or held by a cache */
	IOVAD_RANGE_RESERVED = 2,     /**< kept out of circulation by iovad_reserve() */
};

/** What iovad_find() finds. */
struct iovad_range {
	rte_iova_t iova;              /**< first address */
	uint64_t len;                 /**< bytes */
	void *va;                     /**< what it is mapped to, or NULL */
	uint32_t state;               /**< enum iovad_range_state */
};

/** Counters since creation, and gauges, which are exact when nothing runs beside the call. */
struct iovad_domain_stats {
	uint64_t live_ranges;                     /**< handed out; deferred and quarantined ones too */
	uint64_t live_bytes;                      /**< of these */
	uint64_t cached_ranges;                   /**< in magazines and depots */
	uint64_t cached_bytes;                    /**< of these */
	uint64_t deferred_ranges;                 /**< unmapped lazily, devices may still reach them */
	uint64_t deferred_bytes;                  /**< of these */
	uint64_t deferred_oldest_us;              /**< for how long the oldest of these has waited, at most */
	uint64_t reserved_bytes;                  /**< kept out of circulation */
	uint64_t quarantined_bytes;               /**< whose translation could not be removed yet */
	uint64_t free_bytes;                      /**< in the tree, together */
	uint64_t largest_gap_bytes;               /**< in the tree, in one piece */
	uint64_t tree_nodes;                      /**< in use */
	uint64_t tree_bytes;                      /**< their memory */
	uint64_t cache_hits;                      /**< allocations served by this lcore's magazines */
	uint64_t depot_hits;                      /**< allocations that fetched a magazine from the depot */
	uint64_t tree_allocs;                     /**< ranges taken from the tree */
	uint64_t tree_frees;                      /**< ranges given back to it */
	uint64_t fail_nospace;                    /**< calls that returned -ENOSPC */
	uint64_t fail_again;                      /**< calls that returned -EAGAIN */
	uint64_t backend_maps;                    /**< calls that mapped */
	uint64_t backend_unmaps;                  /**< calls that unmapped: one may unmap many ranges, with one invalidation */
	uint64_t backend_errors;                  /**< calls that failed */
	uint64_t flushes;                         /**< batches of deferred ranges that were unmapped */
	uint64_t reclaims;                        /**< times exhaustion emptied the caches */
	uint64_t bad_frees;                       /**< frees of what was not live, refused or found later */
	uint64_t unmapped_ranges;                 /**< ranges unmapped, by however many calls */
	uint64_t deferred_peak_bytes;             /**< the most that were deferred at once */
	uint64_t deferred_peak_us;                /**< the longest that one was deferred, at most */
	uint64_t deferred_p50_us;                 /**< half of them were deferred for at most this: a power of two */
	uint64_t deferred_p99_us;                 /**< 99 % of them were: a power of two */
	uint64_t helps;                           /**< times a caller had to unmap instead of deferring */
	uint64_t bad_unmaps;                      /**< lazy unmaps of what was not mapped so, found later */
	uint64_t quarantined_ranges;              /**< whose translation could not be removed yet */
	uint64_t quarantine_retries;              /**< further attempts to remove them */
	uint64_t grows;                           /**< times the tree got more nodes */
	uint64_t deferred_frees;                  /**< parts of reserved ranges that wait for a node */
	uint64_t trims;                           /**< magazines taken from the depot because it did not need them */
	uint64_t resizes;                         /**< times contention made magazines larger */
	uint64_t unmapped_runs;                   /**< runs of neighbours that the unmapped ranges formed: a system call each with VFIO */
};

/**
 * Fill conf with the defaults: a 48-bit domain with 4 KiB granules, cached,
 * without a backend and without a name.
 * @param conf to be filled.
 * @return 0; -EINVAL where conf is NULL.
 */
IOVAD_API int iovad_domain_conf_init(struct iovad_domain_conf *conf);

/**
 * Create a domain; its state lies in one memzone of conf->socket_id.
 * Primary process only, after rte_eal_init(). May sleep (memory is reserved).
 * @param conf read, and not needed afterwards.
 * @return the domain, or NULL with rte_errno:
 *   EINVAL a field of conf is out of range (the log names it);
 *   ENAMETOOLONG the name exceeds IOVAD_NAME_MAX; EEXIST it is taken;
 *   ENOMEM no memory of that size on the socket (the log says how much);
 *   with a backend: ENODEV there is no VFIO container; ENOTSUP it has no device, or no
 *   IOMMU that this library knows; EEXIST another domain has part of this window in
 *   the same container; EPERM, EIO, EAGAIN it cannot be used (the log says why);
 *   E_RTE_SECONDARY called in a secondary process.
 *   EINVAL also where IOVAD_DEBUG is not understood (the log says what is possible).
 */
IOVAD_API struct iovad_domain *iovad_domain_create(const struct iovad_domain_conf *conf);

/**
 * Destroy a domain on which no call is in progress. In a secondary process:
 * give back what this process's caches hold and detach; the domain lives on.
 * May sleep.
 * @param d domain; invalid after a return of 0.
 * @return 0; -EINVAL d is NULL; -EBUSY ranges are live (the log names the first
 *   ones and their number), another process is attached or there are devices of iovad_device.h. After -EBUSY the
 *   domain works as before.
 */
IOVAD_API int iovad_domain_destroy(struct iovad_domain *d);

/**
 * Find a domain by name; the first call in a secondary process attaches to it.
 * @param name NUL-terminated.
 * @return the domain, or NULL with rte_errno: EINVAL name is NULL, or IOVAD_DEBUG is not
 *   understood; ENOENT no
 *   such domain; EPROTO it was made by an incompatible version of this library;
 *   ENOMEM no memory for the handle; EAGAIN as many processes are attached as
 *   can be.
 */
IOVAD_API struct iovad_domain *iovad_domain_lookup(const char *name);

/**
 * Take an address range from this lcore's cache. Naturally aligned to the next
 * power of two of len; up to 64 granules it occupies that power of two.
 * Takes no lock on a hit, else the depot's or the domain's. Before it fails it
 * takes back what caches hold, and may wait some milliseconds for a thread that
 * lost its CPU inside its cache; then it unmaps what is deferred, or waits for
 * whoever does so, which may block.
 * @param d domain.
 * @param len bytes, a multiple of the granule.
 * @param limit highest address, inclusive, that the range may touch.
 * @param iova where the range begins.
 * @return 0; -EINVAL d or iova is NULL, len is 0, not a multiple of the granule or
 *   longer than the domain, or limit lies below the first address;
 *   -ENOSPC nothing of that length is free under limit, caches included;
 *   -EAGAIN the tree has no node for it now.
 */
IOVAD_HOT_API int iovad_alloc(struct iovad_domain *d, uint64_t len, uint64_t limit, rte_iova_t *iova);

/**
 * Give back what iovad_alloc() gave, with the same len. Cannot fail for lack of
 * memory. A cached free is not looked up: freeing twice is found when the cache
 * gives the range back (counted in bad_frees, reported at destroy), or at once
 * with IOVAD_DOMAIN_F_DEBUG.
 * Takes no lock while a magazine has room, else the depot's or the domain's.
 * @param d domain.
 * @param iova, len what iovad_alloc() gave, and was given, in bytes.
 * @return 0; -EINVAL d is NULL, or iova or len cannot have come from
 *   iovad_alloc() (alignment, outside the domain); -ENOENT not live with that
 *   length (where the request goes to the tree: see above, and above 64
 *   granules).
 */
IOVAD_HOT_API int iovad_free(struct iovad_domain *d, rte_iova_t iova, uint64_t len);

/**
 * Take n ranges of len bytes: as n times iovad_alloc(), in one call.
 * All or nothing; after a failure iovas holds nothing of use. n may be 0.
 * @param d, len, limit as iovad_alloc(), for each of them.
 * @param iovas room for n addresses.
 * @param n how many.
 * @return as iovad_alloc().
 */
IOVAD_HOT_API int iovad_alloc_bulk(struct iovad_domain *d, uint64_t len, uint64_t limit,
			       rte_iova_t *iovas, unsigned int n);

/**
 * Give back n ranges of len bytes: as n times iovad_free(), in one call.
 * @param d domain.
 * @param iovas n addresses, in any order.
 * @param len bytes of each, as they were allocated.
 * @param n how many; may be 0.
 * @return 0; -EINVAL as iovad_free(), checked for all before any is freed;
 *   -ENOENT where iovad_free() would look it up: some were not live, all others
 *   are freed.
 */
IOVAD_HOT_API int iovad_free_bulk(struct iovad_domain *d, const rte_iova_t *iovas, uint64_t len,
			      unsigned int n);

/**
 * Take exactly len bytes at the highest address that fits. Takes the lock.
 * @param d domain.
 * @param len bytes, a multiple of the granule.
 * @param align bytes, a power of two, at least the granule.
 * @param limit highest address, inclusive, that the range may touch.
 * @param iova where the range begins.
 * @return 0; -EINVAL as iovad_alloc(), or align is not such a power of two;
 *   -ENOSPC; -EAGAIN.
 */
IOVAD_API int iovad_alloc_range(struct iovad_domain *d, uint64_t len, uint64_t align,
				uint64_t limit, rte_iova_t *iova);

/**
 * Give back exactly what iovad_alloc_range() gave. Needs no memory. Takes the lock.
 * @param d domain.
 * @param iova, len what iovad_alloc_range() gave, and was given, in bytes.
 * @return 0; -EINVAL d is NULL, iova or len is not a multiple of the granule, or
 *   the range leaves the domain; -ENOENT exactly that range is not live, or came
 *   from iovad_alloc() and belongs to the caches; -EBUSY it is mapped.
 */
IOVAD_API int iovad_free_range(struct iovad_domain *d, rte_iova_t iova, uint64_t len);

/**
 * Keep [iova, iova + len) out of circulation. Merges with what is reserved.
 * Empties the caches first where they hold part of it. Takes the lock.
 * @param d domain.
 * @param iova first address, a multiple of the granule.
 * @param len bytes, a multiple of the granule.
 * @return 0; -EINVAL as iovad_free_range(); -EEXIST part of it is live;
 *   -EAGAIN the tree has no node for it now.
 */
IOVAD_API int iovad_reserve(struct iovad_domain *d, rte_iova_t iova, uint64_t len);

/**
 * Return [iova, iova + len), all of it reserved, to circulation. It may be a part
 * of what was reserved. Takes the lock.
 * @param d domain.
 * @param iova, len as iovad_reserve().
 * @return 0; -EINVAL as iovad_free_range(); -ENOENT part of it is not reserved;
 *   -EAGAIN a part in the middle needs a node and there is none now.
 */
IOVAD_API int iovad_unreserve(struct iovad_domain *d, rte_iova_t iova, uint64_t len);

/**
 * Find the live or reserved range that holds the address iova. Takes the lock.
 * A range in a cache counts as live.
 * @param d domain.
 * @param iova any address.
 * @param out the range.
 * @return 0; -EINVAL an argument is NULL; -ENOENT the address is free or not in
 *   the domain.
 */
IOVAD_API int iovad_find(struct iovad_domain *d, rte_iova_t iova, struct iovad_range *out);

/**
 * Recompute every invariant of the domain and compare. Holds the lock for all of
 * it and keeps other lcores out of their caches meanwhile (they are served by
 * the tree): for tests and diagnosis. Bounce pools: iovad_bounce_verify().
 * @param d domain.
 * @param why where to write what does not hold; may be NULL.
 * @return 0 all hold; -EINVAL d is NULL; -EIO something does not; -ENOMEM no memory to compare with.
 */
IOVAD_API int iovad_verify(struct iovad_domain *d, FILE *why);

/**
 * Read the counters. Takes the lock.
 * @param d domain.
 * @param out where they go.
 * @return 0; -EINVAL an argument is NULL.
 */
IOVAD_API int iovad_domain_stats_get(struct iovad_domain *d, struct iovad_domain_stats *out);

/**
 * Write for people: the window, the counters, and every range with what it is
 * mapped to. Takes the lock for each range; ranges may come and go meanwhile.
 * @param d domain.
 * @param out where to write.
 * @return 0; -EINVAL an argument is NULL.
 */
IOVAD_API int iovad_dump(struct iovad_domain *d, FILE *out);

/* The rest of iovad_alloc(), iovad_free() and their bulk forms; not to be called otherwise. */
IOVAD_HOT_API int iovad_alloc_other(struct iovad_domain *d, uint64_t len, uint64_t limit,
				    rte_iova_t *iova);
IOVAD_HOT_API int iovad_free_other(struct iovad_domain *d, rte_iova_t iova, uint64_t len);
IOVAD_HOT_API int iovad_alloc_bulk_other(struct iovad_domain *d, uint64_t len, uint64_t limit,
					 rte_iova_t *iovas, unsigned int n);
IOVAD_HOT_API int iovad_free_bulk_other(struct iovad_domain *d, const rte_iova_t *iovas, uint64_t len,
					unsigned int n);

#ifdef __cplusplus
#define IOVAD_HOT_OF(d) (reinterpret_cast<const struct iovad_hot_domain *>(d))
#else
#define IOVAD_HOT_OF(d) ((const struct iovad_hot_domain *)(d))
#endif

/* The lcore as rte_lcore_id() reads it, which is static and so not for these. */
IOVAD_INLINE int iovad_alloc(struct iovad_domain *d, uint64_t len, uint64_t limit, rte_iova_t *iova)
{
	if (d && iova &&
	    iovad_hot_alloc(IOVAD_HOT_OF(d), RTE_PER_LCORE(_lcore_id), len, limit, iova))
		return 0;
	return iovad_alloc_other(d, len, limit, iova);
}

IOVAD_INLINE int iovad_free(struct iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	if (d && iovad_hot_free(IOVAD_HOT_OF(d), RTE_PER_LCORE(_lcore_id), iova, len))
		return 0;
	return iovad_free_other(d, iova, len);
}

IOVAD_INLINE int iovad_alloc_bulk(struct iovad_domain *d, uint64_t len, uint64_t limit, rte_iova_t *iovas,
				  unsigned int n)
{
	if (d && iovas &&
	    iovad_hot_alloc_bulk(IOVAD_HOT_OF(d), RTE_PER_LCORE(_lcore_id), len, limit, iovas, n))
		return 0;
	return iovad_alloc_bulk_other(d, len, limit, iovas, n);
}

IOVAD_INLINE int iovad_free_bulk(struct iovad_domain *d, const rte_iova_t *iovas, uint64_t len, unsigned int n)
{
	if (d && iovas && iovad_hot_free_bulk(IOVAD_HOT_OF(d), RTE_PER_LCORE(_lcore_id), iovas, len, n))
		return 0;
	return iovad_free_bulk_other(d, iovas, len, n);
}

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* IOVAD_H */
