/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "nics.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_ethdev.h>

atomic_bool failed;

void wrong(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	fputs("WRONG: ", stdout);
	vprintf(format, list);
	putchar('\n');
	va_end(list);
	atomic_store(&failed, true);
}

void die(const char *what, int error)
{
	printf("cannot %s: %s\n", what, rte_strerror(error));
	exit(1);
}

unsigned char *get_memory(size_t len)
{
	void *va = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (va == MAP_FAILED)
		die("get memory", rte_errno);
	return va;
}

void start_port(uint16_t port, struct rte_mempool *pool)
{
	const struct rte_eth_conf conf = {0};
	struct rte_eth_link link;
	int error = rte_eth_dev_configure(port, 1, 1, &conf);

	error = error ? error : rte_eth_rx_queue_setup(port, 0, 128, SOCKET_ID_ANY, NULL, pool);
	error = error ? error : rte_eth_tx_queue_setup(port, 0, 256, SOCKET_ID_ANY, NULL);
	error = error ? error : rte_eth_dev_start(port);
	error = error ? error : rte_eth_promiscuous_enable(port);
	error = error ? error : rte_eth_link_get(port, &link); /* waits for it */
	if (error)
		die("start a port", -error);
}

void close_ports(void)
{
	for (uint16_t port = 0; port < 2; port++) {
		rte_eth_dev_stop(port);
		rte_eth_dev_close(port);
	}
}

void send_all(uint16_t port, struct rte_mbuf **m, uint16_t n)
{
	uint16_t sent = 0;

	while (sent < n)
		sent += rte_eth_tx_burst(port, 0, m + sent, n - sent);
}

void fill_ether(struct rte_ether_hdr *ether)
{
	memset(ether, 0, sizeof *ether);
	memset(&ether->dst_addr, 0xff, sizeof ether->dst_addr);
	ether->src_addr.addr_bytes[0] = 2;
	ether->ether_type = RTE_BE16(0x88b5);
}

bool is_ours(const struct rte_ether_hdr *ether)
{
	return ether->ether_type == RTE_BE16(0x88b5);
}

static void nothing_to_free(void *address, void *context)
{
	(void)address;
	(void)context;
}

struct rte_mbuf *attach(struct rte_mempool *headers, unsigned char *va, rte_iova_t iova, uint16_t len)
{
	static struct rte_mbuf_ext_shared_info shared = {.free_cb = nothing_to_free};
	struct rte_mbuf *m = rte_pktmbuf_alloc(headers);

	if (!m)
		rte_panic("the pool \"%s\" is empty\n", headers->name);
	rte_mbuf_ext_refcnt_set(&shared, UINT16_MAX / 2); /* never 0: it is nobody's to free */
	rte_pktmbuf_attach_extbuf(m, va, iova, len, &shared);
	return m;
}

void open_faults(struct faults *f)
{
	*f = (struct faults){.log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK)};
	if (f->log < 0 || lseek(f->log, 0, SEEK_END) < 0)
		die("read the kernel's log", rte_errno);
}

/* Each read gives one record. */
void read_faults(struct faults *f, rte_iova_t iova, uint64_t len)
{
	char record[1024];
	ssize_t n;

	while ((n = read(f->log, record, sizeof record - 1)) > 0) {
		const char *at;
		uint64_t address;

		record[n] = '\0';
		at = strstr(record, "fault addr 0x");
		if (!at)
			continue;
		address = strtoull(at + strlen("fault addr "), NULL, 16);
		if (address >= iova && address - iova < len) {
			f->inside++;
		} else {
			f->elsewhere++;
			wrong("the IOMMU refused an access to 0x%" PRIx64, address);
		}
	}
}

void destroy_domain(struct iovad_domain *d)
{
	struct iovad_domain_stats stats;
	int error;

	if (iovad_verify(d, stdout))
		wrong("the domain's invariants");
	iovad_domain_stats_get(d, &stats);
	if (stats.live_ranges || stats.quarantined_bytes || stats.deferred_ranges || stats.backend_errors)
		wrong("live %" PRIu64 ", in quarantine %" PRIu64 " bytes, deferred %" PRIu64 ", errors %" PRIu64,
		      stats.live_ranges, stats.quarantined_bytes, stats.deferred_ranges, stats.backend_errors);
	if (stats.backend_maps != stats.unmapped_ranges)
		wrong("mapped %" PRIu64 ", unmapped %" PRIu64, stats.backend_maps, stats.unmapped_ranges);
	printf("domain: mapped %" PRIu64 ", unmapped %" PRIu64 "\n", stats.backend_maps, stats.unmapped_ranges);
	error = iovad_domain_destroy(d);
	if (error)
		wrong("the domain cannot be destroyed: %s", rte_strerror(-error));
}
