/* SPDX-License-Identifier: BSD-3-Clause
 * What the programs here share: two NICs that hear each other, memory of our own to send
 * from, the kernel's log of what the IOMMU refused, and the end of a domain.
 */
#ifndef NICS_H
#define NICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <iovad/iovad_dma.h>

#define HEADERS 1024 /* mbufs without memory, of the pool for attach() */

extern atomic_bool failed;

void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void die(const char *what, int error);

/* Memory of the process's own, page aligned. */
unsigned char *get_memory(size_t len);

/* One queue each way, receiving into the pool; returns when the link is up. */
void start_port(uint16_t port, struct rte_mempool *pool);
void close_ports(void);
void send_all(uint16_t port, struct rte_mbuf **m, uint16_t n);

/* To everybody, of a type that only we send. */
void fill_ether(struct rte_ether_hdr *ether);
bool is_ours(const struct rte_ether_hdr *ether);

/* An mbuf whose memory is [va, va + len), for devices at iova. It stays the caller's. */
struct rte_mbuf *attach(struct rte_mempool *headers, unsigned char *va, rte_iova_t iova, uint16_t len);

/* What the kernel's log says the IOMMU refused, in [iova, iova + len) and elsewhere. */
struct faults {
	int log;
	unsigned int inside, elsewhere;
};
void open_faults(struct faults *f);
/* What was logged since the last call. What is elsewhere is wrong. */
void read_faults(struct faults *f, rte_iova_t iova, uint64_t len);

/* Nothing may be left of it. */
void destroy_domain(struct iovad_domain *d);

#endif /* NICS_H */
