/* SPDX-License-Identifier: BSD-3-Clause
 * A plugin that takes every slot for mempool drivers that DPDK has. */
#include <stdio.h>
#include <sys/types.h>

#include <rte_mempool.h>

static int alloc(struct rte_mempool *pool)
{
	(void)pool;
	return -ENOTSUP;
}

static int put(struct rte_mempool *pool, void *const *objects, unsigned int n)
{
	(void)pool, (void)objects, (void)n;
	return -ENOTSUP;
}

static int get(struct rte_mempool *pool, void **objects, unsigned int n)
{
	(void)pool, (void)objects, (void)n;
	return -ENOTSUP;
}

static unsigned int count(const struct rte_mempool *pool)
{
	(void)pool;
	return 0;
}

RTE_INIT(take_all)
{
	struct rte_mempool_ops ops = {.alloc = alloc, .enqueue = put, .dequeue = get, .get_count = count};

	for (int i = 0; i < RTE_MEMPOOL_MAX_OPS_IDX; i++) {
		snprintf(ops.name, sizeof(ops.name), "crowd%d", i);
		rte_mempool_register_ops(&ops);
	}
}
