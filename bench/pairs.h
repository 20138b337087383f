/* SPDX-License-Identifier: BSD-3-Clause
 * The loops of the units that ratios are stated in, in C, as DPDK applications are: what a
 * compiler makes of a C++ wrapper around it differs by more than the contestants do. */
#ifndef IOVAD_BENCH_PAIRS_H
#define IOVAD_BENCH_PAIRS_H

#include <sys/types.h> /* rte_ring.h needs ssize_t */

#include <iovad/iovad_dma.h>
#include <rte_mempool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* n times one out, the same one back; 0 where none failed. */
int pairs_mempool(struct rte_mempool *pool, unsigned int n);
/* The same by 32; n is a multiple of it. Touched: each object is written to between. */
int bulks_mempool(struct rte_mempool *pool, unsigned int n);
int touched_bulks_mempool(struct rte_mempool *pool, unsigned int n);
int pairs_iovad(struct iovad_domain *domain, uint64_t len, uint64_t limit, unsigned int n);
int bulks_iovad(struct iovad_domain *domain, uint64_t len, uint64_t limit, unsigned int n);
/* n that were allocated, or mapped, one by one back. */
int frees_iovad(struct iovad_domain *domain, const rte_iova_t *iovas, uint64_t len, unsigned int n);
int unmaps_iovad(struct iovad_domain *domain, const rte_iova_t *iovas, uint64_t len, unsigned int n);

#ifdef __cplusplus
}
#endif

#endif /* IOVAD_BENCH_PAIRS_H */
