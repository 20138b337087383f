/* SPDX-License-Identifier: BSD-3-Clause
 * Forwards between two ports whose every buffer has an address that iovad chose. README.md
 * tells how to run it and what it shows. */
#include <signal.h>
#include <stdio.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_launch.h>

#include "l2fwd.h"

atomic_bool stop;

static void on_signal(int number)
{
	(void)number;
	stop = true;
}

/* While the ports are there. */
static void show_ports(const struct app *app)
{
	struct rte_eth_stats s;

	for (unsigned int i = 0; i < PORTS; i++) {
		if (rte_eth_stats_get(app->port[i], &s) == 0)
			printf("port %u: received %" PRIu64 " packets, %" PRIu64 " bytes; sent %" PRIu64 ", %" PRIu64 " bytes; "
			       "missed %" PRIu64 ", errors %" PRIu64 ", without mbuf %" PRIu64 "\n", app->port[i], s.ipackets,
			       s.ibytes, s.opackets, s.obytes, s.imissed, s.ierrors + s.oerrors, s.rx_nombuf);
	}
}

/* When they are closed. 0: every frame that was sent came back as it was, and all
 * addresses were right. */
static int show_results(const struct app *app)
{
	uint64_t sent = 0, verified = 0, bad = 0, attached = 0, completed = 0, violations = 0;

	for (unsigned int i = 0; i < PORTS; i++) {
		const struct direction *d = &app->direction[i];
		const struct sender *s = &app->sender[i];

		printf("%u -> %u: in %" PRIu64 ", out %" PRIu64 ", dropped %" PRIu64 ", own %" PRIu64, app->port[d->in],
		       app->port[d->out], d->rx, d->tx, d->dropped, d->own);
		printf(d->highest != 0 ? "; addresses 0x%" PRIx64 " - 0x%" PRIx64 "\n" : "\n", d->lowest, d->highest);
		sent += s->sent;
		verified += d->verified;
		bad += d->bad;
		attached += s->attached;
		completed += s->completed;
		violations += d->violations;
	}
	printf("frames: sent %" PRIu64 ", verified %" PRIu64 ", bad %" PRIu64 "; completed %" PRIu64 " of %" PRIu64 "\n",
	       sent, verified, bad, completed, attached);
	printf("violations: %" PRIu64 "\n", violations);
	return sent == verified && bad == 0 && completed == attached && violations == 0 ? 0 : -1;
}

static int run(struct app *app)
{
	printf("forwarding; Ctrl-C ends it\n");
	rte_eal_mp_remote_launch(forward_loop, app, CALL_MAIN);
	rte_eal_mp_wait_lcore();
	show_ports(app);
	return iovad_dump(app->memory.domain, stdout);
}

int main(int argc, char **argv)
{
	static struct app app;
	const int eal = rte_eal_init(argc, argv);
	int ret;

	if (eal < 0 || options_parse(&app.options, argc - eal, argv + eal) != 0)
		return 2;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	for (unsigned int i = 0; i < PORTS; i++)
		app.direction[i] = (struct direction){.in = i, .out = !i, .lowest = UINT64_MAX};

	ret = memory_open(&app.memory, &app.options) != 0 || senders_open(&app) != 0 || ports_open(&app) != 0 ||
	      run(&app) != 0;
	ports_close(&app);
	if (ret == 0)
		ret = show_results(&app) != 0;
	senders_close(&app);
	ret |= memory_close(&app.memory) != 0;
	rte_eal_cleanup();
	return ret;
}
