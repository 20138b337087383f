/* SPDX-License-Identifier: BSD-3-Clause
 * Each frame has the checksum of its payload, and of all payloads up to it: what arrives must be
 * what was sent, in its order, and all of it. */
#include <stdio.h>

#include <rte_ethdev.h>
#include <rte_hash_crc.h>

#include "heap_send.h"

enum { LONGEST_FRAME = sizeof(struct frame) + LONGEST_PAYLOAD };

/* NULL: it is none of ours. */
static const struct frame *frame_of(const struct rte_mbuf *m, uint8_t *buffer)
{
	const struct frame *f = rte_pktmbuf_read(m, 0, sizeof(*f), buffer);

	if (f == NULL || f->ether.ether_type != rte_cpu_to_be_16(FRAME_TYPE))
		return NULL;
	return f;
}

static bool is_good(const struct receiver *r, const struct rte_mbuf *m, const struct frame *f)
{
	uint8_t buffer[LONGEST_PAYLOAD];
	const uint8_t *payload;

	if (f->length > LONGEST_PAYLOAD || f->number != r->next)
		return false;
	payload = rte_pktmbuf_read(m, sizeof(*f), f->length, buffer);
	return payload != NULL && rte_hash_crc(payload, f->length, 0) == f->checksum &&
	       rte_hash_crc(payload, f->length, r->stream) == f->stream;
}

static void receive(struct receiver *r, const struct rte_mbuf *m)
{
	uint8_t buffer[sizeof(struct frame)];
	const struct frame *f = frame_of(m, buffer);

	if (f == NULL) {
		r->foreign++;
		return;
	}
	if (!is_good(r, m, f) && r->bad++ == 0)
		fprintf(stderr, "frame %u, of %u bytes, came where %u was due, or not as it was sent\n", f->number, f->length,
			r->next);
	r->received++;
	r->bytes += f->length;
	r->total = f->total;
	r->next = f->number + 1;
	r->stream = f->stream;
}

/* False: the last one has come. */
bool receiver_work(struct app *app)
{
	struct receiver *r = &app->receiver;
	struct rte_mbuf *mbufs[BURST];
	const uint16_t n = rte_eth_rx_burst(app->port, 0, mbufs, BURST);

	for (uint16_t i = 0; i < n; i++)
		receive(r, mbufs[i]);
	rte_pktmbuf_free_bulk(mbufs, n);
	return r->total == 0 || r->next < r->total;
}
