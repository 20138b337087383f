/* SPDX-License-Identifier: BSD-3-Clause
 * The domain, and what the device reaches of this process's memory:
 *
 *   bounce  the bounce pool, through which all packets go, sent and received
 *   region  packet pools of the domain's, and the content, all of it, for as long as it is sent
 *   none    packets to send, but not what is attached to them; nothing that it receives into
 *
 * and the descriptor rings, from a heap in the domain where the container is our own; in EAL's own,
 * EAL maps all of DPDK's memory besides. */
#include <stdio.h>

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_vfio.h>

#include "heap_send.h"

#define RINGS "heap_send_rings"
#define RINGS_BYTES (4u << 20)

/* Some more than wait in a queue, in the pool's cache and for the application. */
enum { MBUFS = 2 * MOST_TX_DESCRIPTORS, ARRIVING = RX_DESCRIPTORS + 448 };

int failed(const char *what, int error, const char *advice)
{
	fprintf(stderr, "%s: %s%s\n", what, rte_strerror(error), advice);
	return -1;
}

/* EAL puts the devices of a group into the container that the group is bound to. */
static int open_device(struct memory *m, const char *device)
{
	int group, ret;

	m->container = rte_vfio_container_create();
	if (m->container < 0)
		return failed("no VFIO container", rte_errno, " (is vfio-pci loaded?)");
	if (rte_vfio_get_group_num("/sys/bus/pci/devices", device, &group) <= 0 ||
	    rte_vfio_container_group_bind(m->container, group) < 0) {
		fprintf(stderr, "%s: not bound to vfio-pci, or no such device\n", device);
		return -1;
	}
	ret = rte_eal_hotplug_add("pci", device, "");
	return ret == 0 ? 0 : failed(device, -ret, "");
}

/* Below 4 GiB, where EAL maps nothing. */
static int make_domain(struct memory *m, const struct options *o)
{
	struct iovad_domain_conf conf;

	iovad_domain_conf_init(&conf);
	conf.name = "heap_send";
	conf.backend = o->backend;
	conf.container_fd = m->container;
	conf.iova_first = 1 << 20;
	conf.iova_last = UINT32_MAX;
	m->domain = iovad_domain_create(&conf);
	return m->domain != NULL ? 0 : failed("no domain", rte_errno, "\n  --backend vfio needs an IOMMU and a port "
		"bound to vfio-pci; virtual ports do with --backend soft");
}

static int make_rings(struct memory *m)
{
	const int ret = iovad_heap_create(m->domain, RINGS, RINGS_BYTES, 0, UINT32_MAX);

	if (ret != 0)
		return failed("no heap for rings", -ret, "");
	m->ring_socket = rte_malloc_heap_get_socket(RINGS);
	return 0;
}

static int make_bounce_pool(struct memory *m, const struct options *o)
{
	struct iovad_bounce_conf conf;

	iovad_bounce_conf_init(&conf);
	conf.name = "heap_send";
	conf.domain = m->domain;
	conf.initial_bytes = o->pool_mib << 20;
	m->bounce = iovad_bounce_pool_create(&conf);
	return m->bounce != NULL ? 0 : failed("no bounce pool", rte_errno, "");
}

/* As DPDK makes them: a device that reaches nothing but the domain does not reach it. */
static struct rte_mempool *plain_pool(const char *name, unsigned int n, uint16_t room)
{
	return rte_pktmbuf_pool_create(name, n, 64, 0, room, SOCKET_ID_ANY);
}

static struct rte_mempool *arriving_pool(const struct memory *m, enum mode mode)
{
	switch (mode) {
	case MODE_BOUNCE: return iovad_bounce_pktmbuf_pool_create("arriving", ARRIVING, 64, m->bounce, m->packets);
	case MODE_REGION: return m->packets;
	default: return plain_pool("arriving", ARRIVING, RTE_MBUF_DEFAULT_BUF_SIZE);
	}
}

static int make_pools(struct memory *m, enum mode mode)
{
	const uint16_t room = RTE_MBUF_DEFAULT_BUF_SIZE;

	m->packets = mode == MODE_BOUNCE ? plain_pool("packets", MBUFS, room)
					 : iovad_pktmbuf_pool_create("packets", MBUFS, 64, 0, room, SOCKET_ID_ANY,
								     m->domain, UINT32_MAX);
	if (m->packets == NULL)
		return failed("no pool for packets", rte_errno, "");
	m->arriving = arriving_pool(m, mode);
	if (m->arriving == NULL)
		return failed("no pool for packets that arrive", rte_errno, "");
	m->attached = plain_pool("attached", MBUFS, 0);
	return m->attached != NULL ? 0 : failed("no pool for mbufs without data", rte_errno, "");
}

/* All of it, or none: the pages are pinned. */
static int map_content(const struct memory *m, const struct content *c)
{
	rte_iova_t iova;
	const int ret = iovad_region_add(m->domain, c->data, c->len, UINT32_MAX, IOVAD_TO_DEVICE, &iova);

	if (ret != 0)
		return failed("the content cannot be mapped", -ret, "");
	printf("content: for devices at 0x%" PRIx64 "\n", iova);
	return 0;
}

int memory_open(struct memory *m, const struct options *o, const struct content *c)
{
	m->container = -1;
	m->ring_socket = SOCKET_ID_ANY;
	return (o->device == NULL || open_device(m, o->device) == 0) && make_domain(m, o) == 0 &&
	       (o->device == NULL || make_rings(m) == 0) &&
	       (o->mode != MODE_BOUNCE || make_bounce_pool(m, o) == 0) && make_pools(m, o->mode) == 0 &&
	       (o->mode != MODE_REGION || !o->send || map_content(m, c) == 0) ? 0 : -1;
}

/* Of those that were made, in reverse. */
static int close_domain(struct memory *m, const struct options *o, const struct content *c)
{
	int ret = 0;

	if (o->mode == MODE_REGION && c->data != NULL && m->attached != NULL)
		ret = iovad_region_remove(m->domain, c->data, c->len);
	rte_mempool_free(m->attached);
	if (m->arriving != m->packets)
		rte_mempool_free(m->arriving);
	rte_mempool_free(m->packets);
	if (ret == 0 && m->bounce != NULL)
		ret = iovad_bounce_pool_destroy(m->bounce);
	if (ret == 0 && m->ring_socket != SOCKET_ID_ANY)
		ret = iovad_heap_destroy(m->domain, RINGS);
	if (ret == 0)
		ret = iovad_domain_destroy(m->domain);
	if (ret != 0)
		return failed("leaks, named above", -ret, "");
	printf("leaks: 0\n");
	return 0;
}

int memory_close(struct memory *m, const struct options *o, const struct content *c)
{
	const int ret = m->domain == NULL ? 0 : close_domain(m, o, c);

	if (m->container >= 0) {
		rte_eal_hotplug_remove("pci", o->device);
		rte_vfio_container_destroy(m->container);
	}
	return ret;
}
