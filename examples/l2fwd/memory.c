/* SPDX-License-Identifier: BSD-3-Clause
 * The domain, and all memory that devices reach: each piece is mapped once, for as long as
 * the application runs, and has addresses from first to limit. */
#include <stdio.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_malloc.h>

#include "l2fwd.h"

#define HEAP "l2fwd_rings"

static int failed(const char *what, int error, const char *advice)
{
	fprintf(stderr, "%s: %s%s\n", what, rte_strerror(error), advice);
	return -1;
}

/* Below 4 GiB, where EAL maps nothing, and apart from the lowest MiB, as a guard. */
static int make_domain(struct memory *m, const struct options *o)
{
	struct iovad_domain_conf conf;

	iovad_domain_conf_init(&conf);
	conf.name = "l2fwd";
	conf.backend = o->backend;
	conf.iova_first = m->first;
	conf.iova_last = UINT32_MAX;
	m->domain = iovad_domain_create(&conf);
	return m->domain != NULL ? 0 : failed("no domain", rte_errno, "\n  --backend vfio needs an IOMMU and ports "
		"bound to vfio-pci; virtual ports do with --backend soft");
}

/* What drivers allocate on the heap's socket lies in the domain: see ports.c. */
static int make_heap(struct memory *m, const struct options *o)
{
	const uint64_t page = o->backend == IOVAD_BACKEND_SOFT ? 4096 : 2 << 20;
	const int ret = iovad_heap_create(m->domain, HEAP, o->heap_mib << 20, page, m->limit);

	if (ret != 0)
		return failed("no heap", -ret, "");
	m->ring_socket = rte_malloc_heap_get_socket(HEAP);
	return 0;
}

/* Receive buffers; and mbufs that have none, to be attached to the application's memory. */
static int make_pools(struct memory *m)
{
	m->packets = iovad_pktmbuf_pool_create("l2fwd_packets", MBUFS, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
					       SOCKET_ID_ANY, m->domain, m->limit);
	if (m->packets == NULL)
		return failed("no pool for packets", rte_errno, "");
	m->headers = rte_pktmbuf_pool_create("l2fwd_headers", PORTS * SLOTS, 256, 0, 0, SOCKET_ID_ANY);
	return m->headers != NULL ? 0 : failed("no pool for headers", rte_errno, "");
}

/* Any memory will do, wherever it begins. The device only reads it. */
static int make_buffers(struct memory *m)
{
	uint8_t *buffers = malloc(PORTS * SLOTS * SLOT_BYTES);
	rte_iova_t iova;
	int ret = buffers == NULL ? -ENOMEM : iovad_region_add(m->domain, buffers, PORTS * SLOTS * SLOT_BYTES,
							       m->limit, IOVAD_TO_DEVICE, &iova);
	if (ret != 0) {
		free(buffers);
		return failed("no memory for frames", -ret, "");
	}
	m->buffers = buffers;
	printf("frames: %u KiB of malloc(), %p, for devices at 0x%" PRIx64 "\n",
	       PORTS * SLOTS * SLOT_BYTES / 1024, (void *)buffers, iova);
	return 0;
}

int memory_open(struct memory *m, const struct options *o)
{
	m->first = 1 << 20;
	m->limit = o->limit;
	m->ring_socket = SOCKET_ID_ANY;
	return make_domain(m, o) == 0 && (o->heap_mib == 0 || make_heap(m, o) == 0) && make_pools(m) == 0 &&
	       (o->frames == 0 || make_buffers(m) == 0) ? 0 : -1;
}

/* In reverse, when no device uses it any more. The domain knows what was forgotten. */
int memory_close(struct memory *m)
{
	int ret = m->buffers == NULL ? 0 : iovad_region_remove(m->domain, m->buffers, PORTS * SLOTS * SLOT_BYTES);

	if (ret != 0)
		return failed("frames are still mapped", -ret, ""); /* and so they must stay */
	free(m->buffers);
	rte_mempool_free(m->headers);
	rte_mempool_free(m->packets);
	if (m->ring_socket != SOCKET_ID_ANY && (ret = iovad_heap_destroy(m->domain, HEAP)) != 0)
		failed("the heap is still in use", -ret, "");
	if (m->domain == NULL)
		return 0;
	ret = iovad_domain_destroy(m->domain);
	if (ret != 0)
		return failed("leaks, named above", -ret, "");
	printf("leaks: 0\n");
	return 0;
}
