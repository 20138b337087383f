/* SPDX-License-Identifier: BSD-3-Clause
 * One port with a queue each way. All that is special is the pool that it receives into, and the
 * call that lets packets pass through the bounce pool. */
#include <stdio.h>
#include <string.h>

#include <rte_bus.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include "heap_send.h"

/* It would take addresses that only the software IOMMU knows for physical ones. */
static bool is_unguarded(const struct options *o, const struct rte_eth_dev_info *info)
{
	return o->backend == IOVAD_BACKEND_SOFT && strcmp(rte_bus_name(rte_dev_bus(info->device)), "vdev") != 0;
}

static int setup_queues(const struct app *app, uint64_t capabilities)
{
	const struct rte_eth_conf conf = {.txmode.offloads = capabilities & RTE_ETH_TX_OFFLOAD_MULTI_SEGS};
	const uint16_t port = app->port;
	const int heap = app->memory.ring_socket, socket = heap != SOCKET_ID_ANY ? heap : rte_eth_dev_socket_id(port);
	uint16_t rx = RX_DESCRIPTORS, tx = app->options.descriptors;
	int ret = rte_eth_dev_configure(port, 1, 1, &conf);

	if (ret == 0)
		ret = rte_eth_dev_adjust_nb_rx_tx_desc(port, &rx, &tx);
	if (ret == 0)
		ret = rte_eth_rx_queue_setup(port, 0, rx, socket, NULL, app->memory.arriving);
	if (ret == 0)
		ret = rte_eth_tx_queue_setup(port, 0, tx, socket, NULL);
	return ret;
}

/* From here on the rest of the program need not know of it. */
static int bounce(const struct app *app)
{
	int ret = iovad_ethdev_bounce_enable(app->port, app->memory.bounce);

	if (ret == 0)
		ret = iovad_ethdev_bounce_copy_max(app->port, app->options.copy_max);
	return ret == 0 ? 0 : failed("the port cannot be used with a bounce pool", -ret, "");
}

/* What is sent before is lost. The two ends may take seconds to agree. */
static int wait_for_link(uint16_t port)
{
	struct rte_eth_link link = {0};

	for (unsigned int tenths = 0; tenths < 100 && !stop; tenths++) {
		if (rte_eth_link_get_nowait(port, &link) == 0 && link.link_status == RTE_ETH_LINK_UP)
			return 0;
		rte_delay_us_sleep(100000);
	}
	fprintf(stderr, "the port has no link\n");
	return -1;
}

int port_open(struct app *app)
{
	struct rte_eth_dev_info info;
	int ret;

	app->port = (uint16_t)rte_eth_find_next(0);
	if (app->port >= RTE_MAX_ETHPORTS) {
		fprintf(stderr, "no port: name a NIC that is bound to vfio-pci with --device, or make a virtual one with "
			"--vdev net_ring0\n");
		return -1;
	}
	ret = rte_eth_dev_info_get(app->port, &info);
	if (ret == 0 && is_unguarded(&app->options, &info)) {
		fprintf(stderr, "port %u, %s, is hardware: not with --backend soft\n", app->port, rte_dev_name(info.device));
		return -1;
	}
	app->configured = true;
	if (ret == 0)
		ret = rte_eth_macaddr_get(app->port, &app->mac);
	if (ret == 0)
		ret = setup_queues(app, info.tx_offload_capa);
	if (ret == 0)
		ret = rte_eth_dev_start(app->port);
	if (ret != 0)
		return failed("the port cannot be used", -ret, "");
	rte_eth_promiscuous_enable(app->port); /* virtual ports may not know it, and need not */
	if (app->options.mode == MODE_BOUNCE && bounce(app) != 0)
		return -1;
	return wait_for_link(app->port);
}

/* Closed, it has given back all mbufs, and no longer uses the bounce pool. */
void port_close(struct app *app)
{
	if (!app->configured)
		return;
	rte_eth_dev_stop(app->port);
	rte_eth_dev_close(app->port);
}
