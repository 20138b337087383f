/* SPDX-License-Identifier: BSD-3-Clause
 * Sends from ordinary memory without a copy: an mbuf without a buffer is attached to a
 * piece of memory.buffers at the address that devices know it by, and a callback says
 * when the driver is done with it. */
#include <stdio.h>

#include <rte_hash_crc.h>

#include "l2fwd.h"

enum { FRAME_TYPE = 0x88b5 /* for experiments */, SHORTEST = 64, LONGEST = 1514, IN_FLIGHT = 128 };

/* In the byte order of this machine: nobody else is meant to read it. */
struct frame {
	struct rte_ether_hdr ether;
	uint8_t passed_on;           /* not summed: changes on the way */
	uint8_t origin;              /* who sent it */
	uint16_t length;
	uint32_t number;
	uint32_t checksum;
	uint8_t payload[];
} __rte_packed __rte_aligned(2);

static uint32_t checksum(const struct frame *f)
{
	const uint32_t head = f->number ^ (uint32_t)f->length << 16 ^ f->origin;

	return rte_hash_crc(f->payload, f->length - sizeof(*f), head);
}

static void fill(struct frame *f, const struct app *app, unsigned int origin, uint32_t number)
{
	uint32_t x = number * 2654435761u + origin;

	f->ether.src_addr = app->mac[origin];
	f->ether.dst_addr = app->mac[!origin];
	f->ether.ether_type = rte_cpu_to_be_16(FRAME_TYPE);
	f->passed_on = 0;
	f->origin = origin;
	f->number = number;
	f->length = SHORTEST + number * 37 % (LONGEST - SHORTEST + 1);
	for (size_t i = 0; i < f->length - sizeof(*f); i++) {
		x = x * 1664525 + 1013904223;
		f->payload[i] = x >> 24;
	}
	f->checksum = checksum(f);
}

/* On whichever lcore frees the mbuf. */
static void slot_done(void *slot, void *arg)
{
	struct sender *s = arg;

	rte_ring_mp_enqueue(s->slots, slot);
	atomic_fetch_add_explicit(&s->completed, 1, memory_order_relaxed);
}

/* NULL: no slot is free at the moment. */
static struct rte_mbuf *make_frame(struct app *app, unsigned int origin, uint32_t number)
{
	struct sender *s = &app->sender[origin];
	struct rte_mbuf *m = rte_pktmbuf_alloc(app->memory.headers);
	struct rte_mbuf_ext_shared_info *info;
	uint16_t room = SLOT_BYTES;
	struct frame *f;
	void *slot;

	if (m == NULL || rte_ring_sc_dequeue(s->slots, &slot) != 0) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	/* The count of the slot's users lies at its end. */
	info = rte_pktmbuf_ext_shinfo_init_helper(slot, &room, slot_done, s);
	rte_pktmbuf_attach_extbuf(m, slot, iovad_va2iova(app->memory.domain, slot, room), room, info);
	s->attached++;
	f = slot;
	fill(f, app, origin, number);
	m->data_len = f->length;
	m->pkt_len = f->length;
	return m;
}

/* No more than what the queues hold is on its way at any time, so that nothing is dropped. */
void send_frames(struct app *app, struct direction *d)
{
	struct sender *s = &app->sender[d->out];
	const uint64_t sent = s->sent, room = IN_FLIGHT - (sent - s->next);
	const uint64_t want = RTE_MIN(RTE_MIN(room, (uint64_t)BURST), s->frames - sent);
	struct rte_mbuf *mbufs[BURST];
	uint16_t n = 0;

	while (n < want && (mbufs[n] = make_frame(app, d->out, sent + n)) != NULL)
		n++;
	s->sent = sent + n; /* before they can be received */
	if (n > 0)
		s->sent = sent + transmit(app, d, mbufs, n);
}

/* Each frame is passed on once, and then read. Those of one port arrive in their order. */
enum receipt receive_frame(struct app *app, struct direction *d, const struct rte_mbuf *m)
{
	struct frame *f = rte_pktmbuf_mtod(m, struct frame *);
	struct sender *s;

	if (m->data_len < SHORTEST || f->ether.ether_type != rte_cpu_to_be_16(FRAME_TYPE))
		return FOREIGN;
	s = &app->sender[f->origin % PORTS];
	if (f->origin >= PORTS || f->length != m->data_len || f->checksum != checksum(f)) {
		d->bad++;
		return CONSUMED;
	}
	if (!f->passed_on) {
		f->passed_on = 1;
		return PASS_ON;
	}
	if (f->number == s->next)
		d->verified++;
	else {
		d->bad++;
		printf("frame %u of port %u came where %u was due\n", f->number, app->port[f->origin], (unsigned int)s->next);
	}
	s->next = f->number + 1;
	return CONSUMED;
}

uint64_t frames_received(const struct app *app) { return app->sender[0].next + app->sender[1].next; }

int senders_open(struct app *app)
{
	static const char *names[PORTS] = {"l2fwd_slots_0", "l2fwd_slots_1"};

	for (unsigned int i = 0; i < PORTS && app->options.frames != 0; i++) {
		struct sender *s = &app->sender[i];

		s->frames = (app->options.frames + i) / PORTS;
		s->slots = rte_ring_create(names[i], SLOTS, SOCKET_ID_ANY, RING_F_SC_DEQ | RING_F_EXACT_SZ);
		if (s->slots == NULL) {
			fprintf(stderr, "no memory for a ring of %u\n", SLOTS);
			return -1;
		}
		for (size_t slot = 0; slot < SLOTS; slot++)
			rte_ring_enqueue(s->slots, app->memory.buffers + (i * SLOTS + slot) * SLOT_BYTES);
	}
	return 0;
}

/* After the ports, which hold frames until they are closed. */
void senders_close(struct app *app)
{
	for (unsigned int i = 0; i < PORTS; i++)
		rte_ring_free(app->sender[i].slots);
}
