/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the iovad authors
 *
 * The hot paths, to be inlined into the caller: of iovad_alloc() and iovad_free(),
 * one granule or many of one, from and to the magazine that the caller's lcore has loaded; of
 * iovad_unmap(), into the queue of what the lcore has unmapped lazily. iovad.h
 * includes it. It is private: nothing here is for users, and all of it
 * may change with any version. It knows no DPDK.
 *
 * It is compiled into programs, so the layout is part of the ABI and has a
 * number, which is a version of symbols: a program asks the dynamic linker for
 * IOVAD_INLINE_<number>, and is not started with a library of another layout;
 * a domain made by one is not attached to. Whoever changes a struct here, or what
 * its fields mean, raises the number here and in iovad.map. The library is built
 * on the same structs and functions.
 */
#ifndef IOVAD_HOT_H
#define IOVAD_HOT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IOVAD_HOT_LAYOUT 3

#define IOVAD_HOT_SLOTS 126   /* addresses in a magazine */
#define IOVAD_HOT_ZONES 2     /* below 4 GiB; at and above it */
#define IOVAD_HOT_BINS (7 * IOVAD_HOT_ZONES) /* 1, 2, 4 .. 64 granules in each zone */
#define IOVAD_HOT_COMMON 1    /* the bin of one granule in the high zone */
#define IOVAD_HOT_LCORES 256
#define IOVAD_HOT_RETIRED 16384 /* entries of a retire queue, a power of two */
#define IOVAD_HOT_LONGEST 4096 /* granules that an entry can say */

/* A stack of addresses. */
struct iovad_hot_magazine {
	struct iovad_hot_magazine *next;
	uint16_t capacity;    /* at most IOVAD_HOT_SLOTS; 0: it stands for none */
	uint16_t bin;
	uint32_t n;           /* while it is loaded the pair's counts say how many it holds */
	uint64_t address[IOVAD_HOT_SLOTS];
};

/* What one lcore has of a bin. The loaded magazine holds put - taken, if it is one. */
struct iovad_hot_pair {
	uint64_t taken;       /* ever: the hits. The complement of the count: the owner is inside */
	struct iovad_hot_magazine *loaded;
	uint64_t put;         /* likewise */
	struct iovad_hot_magazine *previous;
};

/* What one lcore has. */
struct iovad_hot_cache {
	uint64_t owner;
	uint64_t depot_hits;
	uint64_t unused[2];
	struct iovad_hot_pair pair[IOVAD_HOT_BINS];
};

/* What one lcore has unmapped and nobody has taken yet: see lib/core/retire_queue.h. An entry
 * is the first granule's number, shifted left by 12, and the number of granules less one. */
struct iovad_hot_retire_queue {
	uint64_t put;         /* entries, ever */
	uint64_t limit;       /* granules that may have been put; others may set it to 0 */
	uint64_t granules;    /* put, ever */
	uint64_t unused[5];
	uint64_t entry[IOVAD_HOT_RETIRED];
};

/* The front of a domain's handle. Zones: [0] below, [1] at and above the border; a domain
 * on one side of 4 GiB has the second only. */
struct iovad_hot_domain {
	uint64_t zone_first[IOVAD_HOT_ZONES];
	uint64_t zone_last[IOVAD_HOT_ZONES];  /* a limit of at least this does not cut the zone */
	uint64_t border;
	uint64_t common_len;  /* one granule; 0: nothing is cached */
	uint64_t shift;       /* log2 of the granule */
	uint64_t common_span; /* from the first to the last granule of the high zone, in bytes */
	/* By lcore + 1, so that LCORE_ID_ANY needs no test. Never null: an lcore without a cache
	 * has one in which nothing is ever loaded, and one without a queue has one of limit 0. */
	struct iovad_hot_cache *cache[IOVAD_HOT_LCORES + 1];
	struct iovad_hot_retire_queue *retired[IOVAD_HOT_LCORES + 1];
};

/*
 * Where the fields lie. A load that follows a store to another place with the
 * same low 12 bits of its address is taken by the processor to depend on it, and
 * waits: up to four times the time of the whole path. So the two counts that calls
 * write, of the common bin, are even words (of 8 bytes) of one line, and all else that
 * each call reads is odd words, but for the pointers to caches: a stride of 16 bytes
 * would cost each call more than those few lcores whose pointer happens to lie so.
 *
 * Why two counts. What a call stores the next one loads, which takes as long as five
 * additions. A call that takes stores one count, a call that puts the other: so a pair
 * waits for one such detour, not for two. Each count also says that its owner is inside,
 * so that nothing else is stored for that.
 */

/* Never compiled on their own, and usable in inline functions that are not static. */
#define IOVAD_HOT_INLINE extern inline __attribute__((gnu_inline, always_inline))
#define IOVAD_HOT_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/*
 * The owner brackets each access to its magazines by enter and leave of a count, so that a
 * reclaimer can tell when it is outside: see lib/core/lcore_cache.h. Between the
 * store of enter and the loads after it stands a fence for the compiler only;
 * the reclaimer makes the processor pass a full one (membarrier(2)). Returns the count.
 */
IOVAD_HOT_INLINE uint64_t iovad_hot_enter(uint64_t *count)
{
	/* One writer: nobody comes between the load and the store. */
	const uint64_t before = __atomic_load_n(count, __ATOMIC_RELAXED);

	__atomic_store_n(count, ~before, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return before;
}

/* Release: a reclaimer that sees the owner outside sees what it did inside. */
IOVAD_HOT_INLINE void iovad_hot_leave(uint64_t *count, uint64_t now)
{
	__atomic_store_n(count, now, __ATOMIC_RELEASE);
}

/* Acquire: what a reclaimer did to a magazine that it gave back is seen. */
IOVAD_HOT_INLINE struct iovad_hot_magazine *iovad_hot_loaded(const struct iovad_hot_pair *p)
{
	return __atomic_load_n(&p->loaded, __ATOMIC_ACQUIRE);
}

/* False: the magazine is empty, or a reclaimer has it, and the counts say nothing of what is there. */
IOVAD_HOT_INLINE bool iovad_hot_get(struct iovad_hot_pair *p, uint64_t *address)
{
	const uint64_t taken = iovad_hot_enter(&p->taken);
	const struct iovad_hot_magazine *m = iovad_hot_loaded(p);
	const uint64_t held = __atomic_load_n(&p->put, __ATOMIC_RELAXED) - taken;
	uint64_t top;

	if (IOVAD_HOT_UNLIKELY(held - 1 >= m->capacity)) {
		iovad_hot_leave(&p->taken, taken);
		return false;
	}
	top = m->address[held - 1];
	iovad_hot_leave(&p->taken, taken + 1);
	/* Last: before the release, compilers would load it again for whoever uses it. */
	*address = top;
	return true;
}

/* False: the magazine is full, or a reclaimer has it. */
IOVAD_HOT_INLINE bool iovad_hot_put(struct iovad_hot_pair *p, uint64_t address)
{
	const uint64_t put = iovad_hot_enter(&p->put);
	struct iovad_hot_magazine *m = iovad_hot_loaded(p);
	const uint64_t held = put - __atomic_load_n(&p->taken, __ATOMIC_RELAXED);
	const uint16_t few = held; /* as it is, where there is a capacity: so much the compare is shorter */

	if (IOVAD_HOT_UNLIKELY(few >= m->capacity)) {
		iovad_hot_leave(&p->put, put);
		return false;
	}
	m->address[held] = address;
	iovad_hot_leave(&p->put, put + 1);
	return true;
}

/* As many addresses as are moved at once. Wider vectors than the program is compiled for would be
 * taken apart through the stack. */
#if defined(__AVX__)
typedef uint64_t iovad_hot_some __attribute__((vector_size(32)));
#else
typedef uint64_t iovad_hot_some __attribute__((vector_size(16)));
#endif
#define IOVAD_HOT_SOME (sizeof(iovad_hot_some) / sizeof(uint64_t))

/* Both values are needed at this point. Otherwise compilers postpone the compares and order them as a
 * tree, for which there are too few registers. */
#if defined(__SSE2__)
#define IOVAD_HOT_PIN(a, b) __asm__("" : "+x"(a), "+x"(b))
#else
#define IOVAD_HOT_PIN(a, b) do {} while (0)
#endif

#define IOVAD_HOT_FEW 8 /* by unrolled loops */

/* The empty statements keep the compiler from making a call of it, which is slower, and from vectors
 * for the few that are left. A vector is stored at once: a later load of it would wait for two stores
 * of its halves. */
IOVAD_HOT_INLINE void iovad_hot_copy(uint64_t *to, const uint64_t *from, uint32_t n)
{
	for (; n >= IOVAD_HOT_FEW; n -= IOVAD_HOT_FEW, to += IOVAD_HOT_FEW, from += IOVAD_HOT_FEW) {
		for (uint32_t i = 0; i < IOVAD_HOT_FEW; i += IOVAD_HOT_SOME) {
			iovad_hot_some some;

			__builtin_memcpy(&some, from + i, sizeof(some));
			__builtin_memcpy(to + i, &some, sizeof(some));
		}
		__asm__ volatile("");
	}
	for (; n != 0; n--) {
		*to++ = *from++;
		__asm__ volatile("");
	}
}

/* The same, and what all have in common and what any has. */
IOVAD_HOT_INLINE void iovad_hot_copy_seen(uint64_t *to, const uint64_t *from, uint32_t n, uint64_t *common,
					  uint64_t *any)
{
	iovad_hot_some one = {0}, all = ~one;

	for (; n >= IOVAD_HOT_FEW; n -= IOVAD_HOT_FEW, to += IOVAD_HOT_FEW, from += IOVAD_HOT_FEW) {
		for (uint32_t i = 0; i < IOVAD_HOT_FEW; i += IOVAD_HOT_SOME) {
			iovad_hot_some some;

			__builtin_memcpy(&some, from + i, sizeof(some));
			__builtin_memcpy(to + i, &some, sizeof(some));
			all &= some;
			one |= some;
			IOVAD_HOT_PIN(all, one);
		}
		__asm__ volatile("");
	}
	*common = all[0];
	*any = one[0];
	for (uint32_t i = 1; i < IOVAD_HOT_SOME; i++) {
		*common &= all[i];
		*any |= one[i];
	}
	for (; n != 0; n--) {
		*common &= *from;
		*any |= *from;
		*to++ = *from++;
		__asm__ volatile("");
	}
}

/* n at once. False: the magazine has fewer, or a reclaimer has it, or n is 0. */
IOVAD_HOT_INLINE bool iovad_hot_get_bulk(struct iovad_hot_pair *p, uint64_t *addresses, uint32_t n)
{
	const uint64_t taken = iovad_hot_enter(&p->taken);
	const struct iovad_hot_magazine *m = iovad_hot_loaded(p);
	const uint64_t held = __atomic_load_n(&p->put, __ATOMIC_RELAXED) - taken;

	if (IOVAD_HOT_UNLIKELY(held > m->capacity || n - 1 >= held)) {
		iovad_hot_leave(&p->taken, taken);
		return false;
	}
	iovad_hot_copy(addresses, m->address + (held - n), n);
	iovad_hot_leave(&p->taken, taken + n);
	return true;
}

/* n at once, multiples of mask + 1 from first to last. False: the magazine has too little room, a
 * reclaimer has it, n is 0, or they are not, or not seen to be without a look at each. */
IOVAD_HOT_INLINE bool iovad_hot_put_bulk(struct iovad_hot_pair *p, const uint64_t *addresses, uint32_t n,
					 uint64_t mask, uint64_t first, uint64_t last)
{
	const uint64_t put = iovad_hot_enter(&p->put);
	struct iovad_hot_magazine *m = iovad_hot_loaded(p);
	const uint64_t held = put - __atomic_load_n(&p->taken, __ATOMIC_RELAXED);
	bool good = held <= m->capacity && n - 1 < m->capacity - held;
	uint64_t common, any;

	if (__builtin_expect(good, 1)) {
		/* Above what it holds nobody looks, so it may be written before it is judged. */
		iovad_hot_copy_seen(m->address + held, addresses, n, &common, &any);
		good = (any & mask) == 0 && common >= first && any <= last;
	}
	iovad_hot_leave(&p->put, put + (good ? n : 0));
	return good;
}

IOVAD_HOT_INLINE struct iovad_hot_cache *iovad_hot_cache_of(const struct iovad_hot_domain *d,
							    uint32_t lcore)
{
	struct iovad_hot_cache *const *first = &d->cache[1];
	const int32_t index = lcore; /* LCORE_ID_ANY, all ones, becomes -1 */

	return __atomic_load_n(&first[index], __ATOMIC_RELAXED);
}

/* One granule, wherever in the high zone. False: nothing happened; iovad_alloc_other() it is. */
IOVAD_HOT_INLINE bool iovad_hot_alloc(const struct iovad_hot_domain *d, uint32_t lcore, uint64_t len,
				      uint64_t limit, uint64_t *iova)
{
	struct iovad_hot_cache *c;

	if (IOVAD_HOT_UNLIKELY(len != d->common_len || limit < d->zone_last[1]))
		return false;
	c = iovad_hot_cache_of(d, lcore);
	return iovad_hot_get(&c->pair[IOVAD_HOT_COMMON], iova);
}

/* One granule of the high zone. */
IOVAD_HOT_INLINE bool iovad_hot_free(const struct iovad_hot_domain *d, uint32_t lcore, uint64_t iova,
				     uint64_t len)
{
	struct iovad_hot_cache *c;

	if (IOVAD_HOT_UNLIKELY(len != d->common_len || (iova & (len - 1)) != 0 ||
			       iova - d->zone_first[1] > d->common_span))
		return false;
	c = iovad_hot_cache_of(d, lcore);
	return iovad_hot_put(&c->pair[IOVAD_HOT_COMMON], iova);
}

/* n of one granule each. */
IOVAD_HOT_INLINE bool iovad_hot_alloc_bulk(const struct iovad_hot_domain *d, uint32_t lcore, uint64_t len,
					   uint64_t limit, uint64_t *iovas, uint32_t n)
{
	struct iovad_hot_cache *c;

	if (IOVAD_HOT_UNLIKELY(len != d->common_len || limit < d->zone_last[1]))
		return false;
	c = iovad_hot_cache_of(d, lcore);
	return iovad_hot_get_bulk(&c->pair[IOVAD_HOT_COMMON], iovas, n);
}

IOVAD_HOT_INLINE bool iovad_hot_free_bulk(const struct iovad_hot_domain *d, uint32_t lcore,
					  const uint64_t *iovas, uint64_t len, uint32_t n)
{
	const uint64_t first = d->zone_first[1];
	struct iovad_hot_cache *c;

	if (IOVAD_HOT_UNLIKELY(len != d->common_len))
		return false;
	c = iovad_hot_cache_of(d, lcore);
	return iovad_hot_put_bulk(&c->pair[IOVAD_HOT_COMMON], iovas, n, len - 1, first, first + d->common_span);
}

/* Lazily. False: nothing happened; iovad_unmap_other() it is. */
IOVAD_HOT_INLINE bool iovad_hot_put_retired(struct iovad_hot_retire_queue *q, uint64_t shift, uint64_t iova,
					    uint64_t len)
{
	const uint64_t first = iova >> shift;
	const uint64_t more = ((iova + len - 1) >> shift) - first; /* than one granule */
	const uint64_t granules = q->granules + more + 1;
	const uint64_t put = q->put;

	/* A len of 0 is huge less one. */
	if (IOVAD_HOT_UNLIKELY((len - 1) >> shift >= IOVAD_HOT_LONGEST - 1 ||
			       granules > __atomic_load_n(&q->limit, __ATOMIC_RELAXED)))
		return false;
	q->entry[put % IOVAD_HOT_RETIRED] = first << 12 | more;
	__atomic_store_n(&q->granules, granules, __ATOMIC_RELAXED);
	/* Release: whoever sees the count sees the entry, and what the caller did before. */
	__atomic_store_n(&q->put, put + 1, __ATOMIC_RELEASE);
	return true;
}

IOVAD_HOT_INLINE bool iovad_hot_retire(const struct iovad_hot_domain *d, uint32_t lcore, uint64_t iova,
				       uint64_t len)
{
	struct iovad_hot_retire_queue *const *first = &d->retired[1];
	const int32_t index = lcore; /* as iovad_hot_cache_of() */

	return iovad_hot_put_retired(__atomic_load_n(&first[index], __ATOMIC_RELAXED), d->shift, iova, len);
}

#ifdef __cplusplus
}
#endif

#endif /* IOVAD_HOT_H */
