/* SPDX-License-Identifier: BSD-3-Clause */
#include "pairs.h"

int pairs_mempool(struct rte_mempool *pool, unsigned int n)
{
	int failed = 0;

	for (unsigned int i = 0; i < n; i++) {
		void *object;

		failed |= rte_mempool_get(pool, &object);
		rte_mempool_put(pool, object);
	}
	return failed;
}

int bulks_mempool(struct rte_mempool *pool, unsigned int n)
{
	void *objects[32];
	int failed = 0;

	for (unsigned int i = 0; i < n; i += 32) {
		failed |= rte_mempool_get_bulk(pool, objects, 32);
		rte_mempool_put_bulk(pool, objects, 32);
	}
	return failed;
}

int touched_bulks_mempool(struct rte_mempool *pool, unsigned int n)
{
	void *objects[32];
	int failed = 0;

	for (unsigned int i = 0; i < n; i += 32) {
		failed |= rte_mempool_get_bulk(pool, objects, 32);
		for (unsigned int j = 0; j < 32; j++)
			++*(volatile unsigned int *)objects[j];
		rte_mempool_put_bulk(pool, objects, 32);
	}
	return failed;
}

int pairs_iovad(struct iovad_domain *domain, uint64_t len, uint64_t limit, unsigned int n)
{
	int failed = 0;

	for (unsigned int i = 0; i < n; i++) {
		rte_iova_t iova;

		failed |= iovad_alloc(domain, len, limit, &iova);
		failed |= iovad_free(domain, iova, len);
	}
	return failed;
}

int bulks_iovad(struct iovad_domain *domain, uint64_t len, uint64_t limit, unsigned int n)
{
	rte_iova_t iovas[32];
	int failed = 0;

	for (unsigned int i = 0; i < n; i += 32) {
		failed |= iovad_alloc_bulk(domain, len, limit, iovas, 32);
		failed |= iovad_free_bulk(domain, iovas, len, 32);
	}
	return failed;
}

int frees_iovad(struct iovad_domain *domain, const rte_iova_t *iovas, uint64_t len, unsigned int n)
{
	int failed = 0;

	for (unsigned int i = 0; i < n; i++)
		failed |= iovad_free(domain, iovas[i], len);
	return failed;
}

int unmaps_iovad(struct iovad_domain *domain, const rte_iova_t *iovas, uint64_t len, unsigned int n)
{
	int failed = 0;

	for (unsigned int i = 0; i < n; i++)
		failed |= iovad_unmap(domain, iovas[i], len);
	return failed;
}
