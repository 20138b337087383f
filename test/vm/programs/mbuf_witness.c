/* SPDX-License-Identifier: BSD-3-Clause
 * LD_PRELOADed into a program that uses DPDK as a shared library, it looks at every mbuf of
 * every pool when that is freed, and says where the buffers lie: for the program, and for
 * devices. It knows nothing of iovad. examples/testpmd/witnesses.py reads what it
 * writes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>

#include <rte_eal.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#define MOST_RUNS 64

/* Buffers whose address for devices differs from that for the program by the same. */
struct run {
	uint64_t shift;
	uint64_t first, last;
	unsigned int buffers;
};

struct look {
	struct run run[MOST_RUNS];
	unsigned int runs;
};

static void look_at(struct rte_mempool *pool, void *context, void *object, unsigned int index)
{
	struct look *look = context;
	const struct rte_mbuf *m = object;
	const uint64_t first = (uintptr_t)m->buf_addr, last = first + m->buf_len - 1;
	const uint64_t shift = rte_mbuf_iova_get(m) - first;
	struct run *r = look->run;

	(void)index;
	if (m->pool != pool) /* no mbuf, or overwritten */
		return;
	while (r < look->run + look->runs && r->shift != shift)
		r++;
	if (r == look->run + MOST_RUNS)
		return;
	if (r == look->run + look->runs) {
		look->runs++;
		*r = (struct run){shift, first, last, 0};
	}
	r->first = RTE_MIN(r->first, first);
	r->last = RTE_MAX(r->last, last);
	r->buffers++;
}

static void tell_of(struct rte_mempool *pool, void *context)
{
	struct look look = {.runs = 0};

	(void)context;
	if (pool->private_data_size < sizeof(struct rte_pktmbuf_pool_private))
		return;
	rte_mempool_obj_iter(pool, look_at, &look);
	printf("MBUFS: pool %s: of %u\n", pool->name, pool->size);
	for (const struct run *r = look.run; r < look.run + look.runs; r++)
		printf("MBUFS: pool %s: %u buffers, 0x%" PRIx64 " - 0x%" PRIx64 ", are at 0x%" PRIx64 "\n", pool->name,
		       r->buffers, r->first, r->last, r->first + r->shift);
	fflush(stdout);
}

/* The function that the program means. As POSIX has it: a pointer to data that is one to a
 * function. */
static void find(const char *name, void *function)
{
	*(void **)function = dlsym(RTLD_NEXT, name);
}

__attribute__((visibility("default"))) void rte_mempool_free(struct rte_mempool *pool)
{
	void (*release)(struct rte_mempool *);

	if (pool)
		tell_of(pool, NULL);
	find("rte_mempool_free", &release);
	release(pool);
}

/* What is not freed before goes here. */
__attribute__((visibility("default"))) int rte_eal_cleanup(void)
{
	int (*cleanup)(void);

	rte_mempool_walk(tell_of, NULL);
	find("rte_eal_cleanup", &cleanup);
	return cleanup();
}
