/* SPDX-License-Identifier: BSD-3-Clause
 * A frame is a segment with its headers, which is written for it, and one or two that are attached
 * to the content where it lies. Nothing of that is copied here. */
#include <stdio.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_hash_crc.h>

#include "heap_send.h"

enum { PAGE = 4096 };

/* With --mode region it is at an address of the domain's. In bounce mode nobody needs to know one.
 * With none it is what DPDK says in IOVA mode VA, which in this container nobody has mapped. */
static rte_iova_t address(const struct app *app, uint8_t *data, uint16_t len)
{
	switch (app->options.mode) {
	case MODE_REGION: return iovad_va2iova(app->memory.domain, data, len);
	case MODE_NONE: return (rte_iova_t)(uintptr_t)data;
	default: return RTE_BAD_IOVA;
	}
}

static struct rte_mbuf *piece(struct app *app, uint8_t *data, uint16_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(app->memory.attached);

	if (m == NULL)
		return NULL;
	rte_mbuf_ext_refcnt_update(&app->content.users, 1);
	rte_pktmbuf_attach_extbuf(m, data, address(app, data, len), len, &app->content.users);
	m->data_len = len;
	m->pkt_len = len;
	return m;
}

/* In pieces that cross no page: neighbours need not be so in memory, which the IOMMU hides, but
 * QEMU's e1000e drops what is not in one piece. */
static bool attach_payload(struct app *app, struct rte_mbuf *frame, uint8_t *data, uint16_t len)
{
	while (len > 0) {
		const uint16_t room = PAGE - (uintptr_t)data % PAGE, n = RTE_MIN(len, room);
		struct rte_mbuf *m = piece(app, data, n);

		if (m == NULL || rte_pktmbuf_chain(frame, m) != 0) {
			rte_pktmbuf_free(m);
			return false;
		}
		data += n;
		len -= n;
	}
	return true;
}

static void write_headers(const struct app *app, struct frame *f, const uint8_t *data, uint16_t len)
{
	const struct sender *s = &app->sender;

	*f = (struct frame){
		.ether = {.dst_addr = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, .src_addr = app->mac,
			  .ether_type = rte_cpu_to_be_16(FRAME_TYPE)},
		.length = len, .number = s->made, .total = s->frames,
		.checksum = rte_hash_crc(data, len, s->made),
	};
}

/* NULL: no mbuf is free at the moment. */
static struct rte_mbuf *make_frame(struct app *app)
{
	struct sender *s = &app->sender;
	uint8_t *const data = app->content.data + s->offset;
	const uint16_t len = RTE_MIN(app->options.payload[s->made % 2], app->content.len - s->offset);
	struct rte_mbuf *m = rte_pktmbuf_alloc(app->memory.packets);
	struct frame *f;

	if (m == NULL)
		return NULL;
	if (!attach_payload(app, m, data, len)) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	m->data_len = sizeof(struct frame);
	m->pkt_len += sizeof(struct frame);
	f = rte_pktmbuf_mtod(m, struct frame *);
	write_headers(app, f, data, len);
	s->made++;
	s->bytes += len;
	s->checksum += f->checksum;
	s->offset = (s->offset + len) % app->content.len;
	return m;
}

/* How many frames may have been sent by now. */
static uint64_t allowed(const struct app *app)
{
	static uint64_t start;
	const uint64_t now = rte_get_timer_cycles(), rate = app->options.rate;

	if (start == 0)
		start = now;
	return rate == 0 ? UINT64_MAX : (double)(now - start) / rte_get_timer_hz() * rate + 1;
}

static void refill(struct app *app)
{
	struct sender *s = &app->sender;
	const uint64_t most = RTE_MIN(s->frames, allowed(app));

	if (s->first != s->end)
		return;
	s->first = s->end = 0;
	while (s->end < BURST && s->made < most && (s->waiting[s->end] = make_frame(app)) != NULL)
		s->end++;
}

void sender_open(struct app *app)
{
	const struct options *o = &app->options;
	struct sender *s = &app->sender;

	s->frames = o->frames;
	for (uint64_t offset = 0; o->frames == 0 && offset < app->content.len; s->frames++)
		offset += o->payload[s->frames % 2];
}

/* False: all was sent before. Those that were not sent are tried again, as they are in the array now:
 * with a bounce pool others may have taken their places. */
bool sender_work(struct app *app)
{
	struct sender *s = &app->sender;
	uint16_t n;

	if (s->sent == s->frames)
		return false;
	if (app->options.reply && app->receiver.received == 0)
		return true;
	refill(app);
	n = rte_eth_tx_burst(app->port, 0, s->waiting + s->first, s->end - s->first);
	s->first += n;
	s->sent += n;
	return true;
}

void sender_close(struct app *app)
{
	struct sender *s = &app->sender;

	for (; s->first < s->end; s->first++)
		rte_pktmbuf_free(s->waiting[s->first]);
}
