// SPDX-License-Identifier: BSD-3-Clause
// Headers: mbufs without memory of their own, which stand for the segments of a packet that the
// device cannot reach. What is to be done when the driver has freed one is noted in its private
// area, since the end of the data, where DPDK's helper puts that, is memory that the device can write.
//
// A header comes back to its pool when it is freed, though clones (rte_pktmbuf_clone()) may still share
// its data, and so its ticket. That is rare. Whoever takes such a one puts it aside until the clones have gone.
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "iovad/iovad_bounce.h"

namespace iovad::eal {

struct Ticket {
	// `unused` is stored with release when all else has been read, and loaded with acquire by
	// whoever takes the header next.
	enum State : uint32_t { unused, slot, mapped, lent };

	rte_mbuf_ext_shared_info shared = {};
	State state = unused;
	uint32_t len = 0;
	rte_iova_t iova = 0;
	iovad_bounce_pool *pool = nullptr;  // of a slot
	iovad_domain *domain = nullptr;     // of what is mapped
	rte_mbuf *original = nullptr;       // segment that is freed then
};

class Headers {
public:
	// A pool of them. Null with rte_errno.
	static rte_mempool *create(const char *name, unsigned n, int socket_id);
	// How many are in use, themselves or, when they are back, as clones; 0: none is. While nobody takes any.
	static unsigned in_use(rte_mempool &pool);

	// It becomes [va, va + ticket.len), which the ticket tells the rest of.
	static void attach(rte_mbuf &header, void *va, const Ticket &ticket);
	// What was noted of one that was attached.
	static Ticket &ticket(rte_mbuf &header) { return *static_cast<Ticket *>(rte_mbuf_to_priv(&header)); }

	Headers() = default;
	Headers(const Headers &) = delete;
	Headers &operator=(const Headers &) = delete;

	// From this pool from now on; nothing is aside.
	void use(rte_mempool *pool) { pool_ = pool; }

	// Null: there is none.
	rte_mbuf *take()
	{
		rte_mbuf *header = aside_ ? take_aside() : nullptr;
		if (!header)
			header = rte_pktmbuf_alloc(pool_);
		if (!header || !is_busy(*header)) [[likely]]
			return header;
		return take_other(header);
	}
	// One that take() gave, and that nothing was attached to.
	static void give_back(rte_mbuf *header) { rte_pktmbuf_free(header); }
	// All that take() had put aside.
	void give_back_aside();

private:
	static void done(void *va, void *ticket);
	static bool is_busy(rte_mbuf &header)
	{
		return __atomic_load_n(&ticket(header).state, __ATOMIC_ACQUIRE) != Ticket::unused;
	}
	rte_mbuf *take_aside();
	rte_mbuf *take_other(rte_mbuf *busy);
	void put_aside(rte_mbuf &header);

	rte_mempool *pool_ = nullptr;
	rte_mbuf *aside_ = nullptr, **aside_end_ = &aside_;  // linked by `next`
};

}  // namespace iovad::eal
