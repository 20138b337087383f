/* SPDX-License-Identifier: BSD-3-Clause
 * Two ports with a queue each way, as in DPDK's own l2fwd. All that differs is what they
 * are given: a pool of the domain's, and the socket id of the heap for their rings. */
#include <stdio.h>
#include <string.h>

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_memzone.h>

#include "l2fwd.h"

static int setup_queues(struct app *app, uint16_t port)
{
	const struct rte_eth_conf conf = {0};
	const int heap = app->memory.ring_socket, socket = heap != SOCKET_ID_ANY ? heap : rte_eth_dev_socket_id(port);
	uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
	int ret = rte_eth_dev_configure(port, 1, 1, &conf);

	if (ret == 0)
		ret = rte_eth_dev_adjust_nb_rx_tx_desc(port, &rx, &tx);
	if (ret == 0)
		ret = rte_eth_rx_queue_setup(port, 0, rx, socket, NULL, app->memory.packets);
	if (ret == 0)
		ret = rte_eth_tx_queue_setup(port, 0, tx, socket, NULL);
	return ret;
}

static int open_port(struct app *app, unsigned int i)
{
	const uint16_t port = app->port[i];
	struct rte_eth_dev_info info;
	struct rte_eth_link link;
	int ret = rte_eth_dev_info_get(port, &info);

	/* It would take addresses that only the software IOMMU knows for physical ones. */
	if (ret == 0 && app->options.backend == IOVAD_BACKEND_SOFT &&
	    strcmp(rte_bus_name(rte_dev_bus(info.device)), "vdev") != 0) {
		fprintf(stderr, "port %u, %s, is hardware: not with --backend soft\n", port, rte_dev_name(info.device));
		return -1;
	}
	app->configured[i] = true;
	if (ret == 0)
		ret = rte_eth_macaddr_get(port, &app->mac[i]);
	if (ret == 0)
		ret = setup_queues(app, port);
	if (ret == 0)
		ret = rte_eth_dev_start(port);
	if (ret != 0) {
		fprintf(stderr, "port %u cannot be used: %s%s\n", port, rte_strerror(-ret),
			ret == -ENOMEM && app->options.heap_mib != 0 ? " (is --heap large enough?)" : "");
		return -1;
	}
	rte_eth_promiscuous_enable(port); /* virtual ports may not know it, and need not */
	if (rte_eth_link_get(port, &link) == 0 && link.link_status == RTE_ETH_LINK_DOWN)
		fprintf(stderr, "port %u has no link\n", port);
	return 0;
}

/* Of all memzones, those in the heap. */
static void show_ring(const struct rte_memzone *zone, void *arg)
{
	struct app *app = arg;

	if (zone->socket_id != app->memory.ring_socket)
		return;
	printf("ring: %s, %zu bytes at 0x%" PRIx64 "\n", zone->name, zone->len, zone->iova);
	app->direction[0].violations += is_violation(&app->memory, zone->iova, zone->len, zone->addr);
}

int ports_open(struct app *app)
{
	unsigned int n = 0;
	uint16_t port;

	RTE_ETH_FOREACH_DEV(port) {
		if (n < PORTS)
			app->port[n] = port;
		n++;
	}
	if (n != PORTS) {
		fprintf(stderr, "%u ports and not %u: bind two NICs to vfio-pci and name them with -a, or make virtual "
			"ones with --vdev net_ring0 --vdev net_ring1\n", n, PORTS);
		return -1;
	}
	for (unsigned int i = 0; i < PORTS; i++) {
		if (open_port(app, i) != 0)
			return -1;
	}
	if (app->memory.ring_socket != SOCKET_ID_ANY)
		rte_memzone_walk(show_ring, app);
	return 0;
}

/* Stopped, no device uses memory any more; closed, mbufs and rings are given back. */
void ports_close(struct app *app)
{
	for (unsigned int i = 0; i < PORTS; i++) {
		if (app->configured[i])
			rte_eth_dev_stop(app->port[i]);
	}
	for (unsigned int i = 0; i < PORTS; i++) {
		if (app->configured[i])
			rte_eth_dev_close(app->port[i]);
	}
}
