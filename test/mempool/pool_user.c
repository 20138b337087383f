/* SPDX-License-Identifier: BSD-3-Clause
 * pool_user [EAL options] -- [POOL]: a process that knows nothing of iovad. Prints the
 * mempool drivers with their places; given a pool, takes every object of it in bulks, gives
 * them back, and says how many there were and within which addresses their mbufs lie. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/types.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

static struct rte_mbuf *mbufs[1 << 16];

static int use(struct rte_mempool *pool)
{
	uint64_t first = UINT64_MAX, last = 0;
	unsigned int n = 0;

	while (n < RTE_DIM(mbufs) - 32 && rte_mempool_get_bulk(pool, (void **)&mbufs[n], 32) == 0)
		n += 32;
	for (unsigned int i = 0; i < n; i++) {
		uint64_t iova = rte_mbuf_iova_get(mbufs[i]);

		if (mbufs[i]->pool != pool) {
			printf("object %u is not of this pool\n", i);
			return 1;
		}
		first = RTE_MIN(first, iova);
		last = RTE_MAX(last, iova + mbufs[i]->buf_len - 1);
	}
	rte_mempool_put_bulk(pool, (void **)mbufs, n);
	printf("took %u objects, 0x%" PRIx64 " - 0x%" PRIx64 ", %u are there again\n", n, first, last,
	       rte_mempool_avail_count(pool));
	return 0;
}

int main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv), result = 0;
	struct rte_mempool *pool;

	setvbuf(stdout, NULL, _IONBF, 0);
	if (used < 0)
		return 2;
	for (uint32_t i = 0; i < rte_mempool_ops_table.num_ops; i++)
		printf("driver %u: %s\n", i, rte_mempool_ops_table.ops[i].name);
	if (used + 1 < argc) {
		pool = rte_mempool_lookup(argv[used + 1]);
		if (pool == NULL) {
			printf("no pool %s: %s\n", argv[used + 1], rte_strerror(rte_errno));
			return 2;
		}
		printf("pool %s has driver %d\n", pool->name, pool->ops_index);
		result = use(pool);
	}
	rte_eal_cleanup();
	return result;
}
