/* SPDX-License-Identifier: BSD-3-Clause
 * What an lcore does: receive from one port, send to the other, and look at the address
 * of every mbuf on its way, which a real application need not. */
#include <stdio.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "l2fwd.h"

/* Devices must find all of it between first and limit, and where this process has it. */
bool is_violation(const struct memory *m, rte_iova_t iova, uint64_t len, const void *va)
{
	return iova < m->first || iova + (len - 1) > m->limit || iovad_iova2va(m->domain, iova, len) != va;
}

static void check(const struct memory *m, struct direction *d, const struct rte_mbuf *mbuf)
{
	const rte_iova_t iova = rte_pktmbuf_iova(mbuf);

	d->violations += is_violation(m, iova, mbuf->data_len, rte_pktmbuf_mtod(mbuf, void *));
	d->lowest = RTE_MIN(d->lowest, iova);
	d->highest = RTE_MAX(d->highest, iova + mbuf->data_len - 1);
}

/* How many; the others are freed. */
uint16_t transmit(struct app *app, struct direction *d, struct rte_mbuf **mbufs, uint16_t n)
{
	uint16_t sent;

	for (uint16_t i = 0; i < n; i++)
		check(&app->memory, d, mbufs[i]);
	sent = rte_eth_tx_burst(app->port[d->out], 0, mbufs, n);
	rte_pktmbuf_free_bulk(mbufs + sent, n - sent);
	d->tx += sent;
	return sent;
}

/* As in DPDK's l2fwd: the source becomes the port's address, the destination a local one.
 * Ports that hear each other would forward for ever: so what one of them has sent ends
 * here, but for the sender's frames, which know when to end. */
static bool pass_on(struct app *app, struct direction *d, struct rte_mbuf *m)
{
	struct rte_ether_hdr *ether = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	const enum receipt receipt = receive_frame(app, d, m);

	if (receipt == CONSUMED)
		return false;
	if (receipt == FOREIGN && (rte_is_same_ether_addr(&ether->src_addr, &app->mac[0]) ||
				   rte_is_same_ether_addr(&ether->src_addr, &app->mac[1]))) {
		d->own++;
		return false;
	}
	ether->src_addr = app->mac[d->out];
	ether->dst_addr = (struct rte_ether_addr){{2, 0, 0, 0, 0, d->out}};
	return true;
}

static void forward(struct app *app, struct direction *d)
{
	struct rte_mbuf *in[BURST], *out[BURST];
	const uint16_t n = rte_eth_rx_burst(app->port[d->in], 0, in, BURST);
	uint16_t passed = 0;

	for (uint16_t i = 0; i < n; i++) {
		check(&app->memory, d, in[i]);
		if (pass_on(app, d, in[i]))
			out[passed++] = in[i];
		else
			rte_pktmbuf_free(in[i]);
	}
	d->rx += n;
	if (passed > 0)
		d->dropped += passed - transmit(app, d, out, passed);
}

/* Others count: what is shown may be a moment old. */
static void show_rates(const struct app *app, double seconds)
{
	static uint64_t rx[PORTS], tx[PORTS];

	for (unsigned int i = 0; i < PORTS; i++) {
		const struct direction *d = &app->direction[i];

		printf("%u -> %u: in %.0f/s, out %.0f/s%s", app->port[d->in], app->port[d->out],
		       (d->rx - rx[i]) / seconds, (d->tx - tx[i]) / seconds, i + 1 < PORTS ? "; " : "\n");
		rx[i] = d->rx;
		tx[i] = d->tx;
	}
	fflush(stdout);
}

/* The clock, on the main lcore. */
static void watch(struct app *app)
{
	static uint64_t start, shown, progress, received;
	const uint64_t now = rte_get_timer_cycles(), hz = rte_get_timer_hz();
	const struct options *o = &app->options;

	if (start == 0)
		start = shown = progress = now;
	if (now - shown >= hz) {
		show_rates(app, (double)(now - shown) / hz);
		shown = now;
	}
	if (received != frames_received(app)) {
		received = frames_received(app);
		progress = now;
	}
	if (o->frames != 0 && (received >= o->frames || now - progress > 5 * hz))
		stop = true;
	if (o->seconds != 0 && now - start >= o->seconds * hz)
		stop = true;
}

int forward_loop(void *arg)
{
	struct app *app = arg;
	const unsigned int lcores = RTE_MIN(rte_lcore_count(), (unsigned int)PORTS);
	const bool main_lcore = rte_lcore_id() == rte_get_main_lcore();
	uint64_t end = 0;

	/* After the end for half a second more: some frames are on their way. */
	while (end == 0 || rte_get_timer_cycles() < end) {
		for (unsigned int i = rte_lcore_index(-1); i < PORTS; i += lcores) {
			forward(app, &app->direction[i]);
			if (end == 0)
				send_frames(app, &app->direction[i]);
		}
		if (main_lcore)
			watch(app);
		if (end == 0 && stop)
			end = rte_get_timer_cycles() + rte_get_timer_hz() / 2;
	}
	return 0;
}
