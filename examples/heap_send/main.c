/* SPDX-License-Identifier: BSD-3-Clause
 * Sends memory that the device cannot reach, or only while it is a region, and checks what arrives.
 * README.md tells how to run it and what it shows. */
#include <signal.h>
#include <stdio.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>

#include "heap_send.h"

atomic_bool stop;

static void on_signal(int number)
{
	(void)number;
	stop = true;
}

static void show_rates(const struct app *app, double seconds)
{
	static uint64_t frames, bytes;
	const uint64_t now = app->sender.sent + app->receiver.received, now_bytes = app->sender.bytes + app->receiver.bytes;

	printf("%.0f frames/s, %.1f MB/s\n", (now - frames) / seconds, (now_bytes - bytes) / seconds / 1e6);
	fflush(stdout);
	frames = now;
	bytes = now_bytes;
}

/* False: nothing has moved for too long. */
static bool watch(const struct app *app)
{
	static uint64_t shown, moved, before;
	const uint64_t now = rte_get_timer_cycles(), hz = rte_get_timer_hz();
	const uint64_t frames = app->sender.sent + app->receiver.received;

	if (shown == 0)
		shown = moved = now;
	if (now - shown >= hz) {
		show_rates(app, (double)(now - shown) / hz);
		shown = now;
	}
	if (frames != before) {
		before = frames;
		moved = now;
	} else {
		rte_delay_us_sleep(20); /* the other end may need this CPU */
	}
	return now - moved < app->options.seconds * hz;
}

static void work(struct app *app)
{
	const struct options *o = &app->options;
	bool sending = o->send, receiving = o->receive;
	const uint64_t start = rte_get_timer_cycles();
	double seconds;

	printf("%s\n", !o->send ? "receiving" : o->receive ? "sending and receiving" : "sending");
	fflush(stdout);
	while (!stop && (sending || receiving) && watch(app)) {
		sending = sending && sender_work(app);
		receiving = receiving && receiver_work(app);
	}
	seconds = (double)(rte_get_timer_cycles() - start) / rte_get_timer_hz();
	rte_delay_us_sleep(500000); /* the last ones may still be on their way */
	printf("%.2f s, sent %.0f frames/s, received %.0f frames/s\n", seconds, app->sender.sent / seconds,
	       app->receiver.received / seconds);
}

static void show_bounce(const struct app *app)
{
	struct iovad_ethdev_bounce_stats e;
	struct iovad_bounce_stats p;

	if (app->memory.bounce == NULL || iovad_ethdev_bounce_stats_get(app->port, &e) != 0 ||
	    iovad_bounce_stats_get(app->memory.bounce, &p) != 0)
		return;
	printf("to the device: copied %" PRIu64 " frames, %" PRIu64 " bytes; mapped %" PRIu64 ", %" PRIu64 " bytes; %" PRIu64
	       " bursts had to wait\n", e.tx_copied, e.tx_copied_bytes, e.tx_mapped, e.tx_mapped_bytes, e.tx_waits);
	printf("from the device: copied %" PRIu64 " frames, %" PRIu64 " bytes; dropped %" PRIu64 "\n", e.rx_copied,
	       e.rx_copied_bytes, e.rx_dropped_nombuf + e.rx_dropped_length);
	printf("pool: %" PRIu64 " KiB, at most %" PRIu64 " KiB out; misses %" PRIu64 "\n", p.size_bytes >> 10,
	       p.hiwater_bytes >> 10, p.misses);
}

/* 0: all of it was sent, or all of it came as it was sent. Networks may change the order. */
static int show_results(struct app *app)
{
	const struct sender *s = &app->sender;
	const struct receiver *r = &app->receiver;
	int ret = 0;

	if (app->options.send) {
		const unsigned int users = rte_mbuf_ext_refcnt_read(&app->content.users) - 1;

		printf("sent: %" PRIu64 " of %" PRIu64 " frames, %" PRIu64 " bytes, checksum 0x%08x; the content is still in use by "
		       "%u mbufs\n", s->sent, s->frames, s->bytes, s->checksum, users);
		ret |= s->sent != s->frames || users != 0;
	}
	if (app->options.receive) {
		printf("received: %" PRIu64 " of %" PRIu64 " frames, %" PRIu64 " bytes, checksum 0x%08x; bad %" PRIu64
		       ", late %" PRIu64 ", foreign %" PRIu64 "\n", r->received, r->total, r->bytes, r->checksum, r->bad, r->late, r->foreign);
		ret |= r->received == 0 || r->received != r->total || r->bad != 0;
	}
	return ret;
}

/* What is mapped, while it is. */
static int run(struct app *app)
{
	sender_open(app);
	work(app);
	show_bounce(app);
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

	ret = content_open(&app.content, &app.options) != 0 ||
	      memory_open(&app.memory, &app.options, &app.content) != 0 || port_open(&app) != 0 || run(&app) != 0;
	port_close(&app);
	sender_close(&app);
	if (ret == 0)
		ret = show_results(&app);
	ret |= memory_close(&app.memory, &app.options, &app.content) != 0;
	content_close(&app.content);
	rte_eal_cleanup();
	return ret;
}
