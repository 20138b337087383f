/* SPDX-License-Identifier: BSD-3-Clause
 * Each frame has the checksum of its payload: what arrives must be what was sent, and all of it, by
 * the sum of the checksums. Networks may change the order. */
#include <stdio.h>

#include <rte_ethdev.h>
#include <rte_hash_crc.h>

#include "heap_send.h"

/* NULL: it is none of ours. */
static const struct frame *frame_of(const struct rte_mbuf *m, uint8_t *buffer)
{
	const struct frame *f = rte_pktmbuf_read(m, 0, sizeof(*f), buffer);

	if (f == NULL || f->ether.ether_type != rte_cpu_to_be_16(FRAME_TYPE))
		return NULL;
	return f;
}

static bool is_good(const struct rte_mbuf *m, const struct frame *f)
{
	uint8_t buffer[LONGEST_PAYLOAD];
	const uint8_t *payload;

	if (f->length > LONGEST_PAYLOAD)
		return false;
	payload = rte_pktmbuf_read(m, sizeof(*f), f->length, buffer);
	return payload != NULL && rte_hash_crc(payload, f->length, f->number) == f->checksum;
}

static void receive(struct receiver *r, const struct rte_mbuf *m)
{
	uint8_t buffer[sizeof(struct frame)];
	const struct frame *f = frame_of(m, buffer);

	if (f == NULL) {
		r->foreign++;
		return;
	}
	if (!is_good(m, f) && r->bad++ == 0)
		fprintf(stderr, "frame %u, of %u bytes, is not as it was sent\n", f->number, f->length);
	r->received++;
	r->bytes += f->length;
	r->checksum += f->checksum;
	r->total = f->total;
	r->late += f->number < r->next;
	r->next = RTE_MAX(r->next, f->number + UINT64_C(1));
}

/* False: all have come. */
bool receiver_work(struct app *app)
{
	struct receiver *r = &app->receiver;
	struct rte_mbuf *mbufs[BURST];
	const uint16_t n = rte_eth_rx_burst(app->port, 0, mbufs, BURST);

	for (uint16_t i = 0; i < n; i++)
		receive(r, mbufs[i]);
	rte_pktmbuf_free_bulk(mbufs, n);
	return r->total == 0 || r->received < r->total;
}
