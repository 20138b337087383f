// SPDX-License-Identifier: BSD-3-Clause
// Headers: mbufs without memory of their own, which stand for the segments of a packet that the
// device cannot reach. What is to be done when the driver has freed one is noted in its private
// area, since the end of the data, where DPDK's helper puts that, is memory that the device can write.
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "iovad/iovad_bounce.h"

namespace iovad::eal {

struct Ticket {
	// `unused` is stored with release when all else has been read, and loaded with acquire by
	// who takes the header next.
	enum State : uint32_t { unused, slot, mapped, lent };

	rte_mbuf_ext_shared_info shared;
	State state;
	uint32_t len;
	rte_iova_t iova;
	iovad_bounce_pool *pool;  // of a slot
	iovad_domain *domain;     // of what is mapped
	rte_mbuf *original;       // segment that is freed then, or null
};

class Headers {
public:
	// Null with rte_errno.
	static rte_mempool *create(const char *name, unsigned n, int socket_id);

	// Null: there is none.
	static rte_mbuf *take(rte_mempool &headers);
	// One that take() gave, and that nothing was attached to.
	static void give_back(rte_mbuf *header) { rte_pktmbuf_free(header); }
	// It becomes [va, va + ticket.len), which the ticket tells the rest of.
	static void attach(rte_mbuf &header, void *va, const Ticket &ticket);
	// What was noted of one that was attached.
	static Ticket &ticket(rte_mbuf &header) { return *static_cast<Ticket *>(rte_mbuf_to_priv(&header)); }

private:
	static void done(void *va, void *ticket);
};

}  // namespace iovad::eal
