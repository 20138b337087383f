// SPDX-License-Identifier: BSD-3-Clause
// One receive queue: packets of bounce packet pools are copied to the pools that the
// application wants them in. A queue has few pools (one for each size or piece of a packet), which are
// remembered: to look one up takes a lock. Used by the thread that uses the queue.
#pragma once

#include <rte_mbuf.h>

#include "iovad/iovad_ethdev.h"

namespace iovad::eal {

class RxBouncer {
public:
	// All from new, its counters too.
	void begin();

	// How many of them the application gets.
	uint16_t receive(rte_mbuf **packets, uint16_t n);

	const iovad_ethdev_bounce_stats &stats() const { return stats_; }

private:
	// Null: the packet is for the application as it is.
	rte_mempool *target_of(const rte_mbuf &packet)
	{
		for (const rte_mbuf *segment = &packet; segment; segment = segment->next) {
			if (segment->pool != last_.pool)
				find(segment->pool);
			if (last_.target)
				return last_.target;
		}
		return nullptr;
	}
	[[gnu::noinline]] void find(const rte_mempool *pool);
	void forget(uint64_t version);
	rte_mbuf *copy(const rte_mbuf &packet, rte_mempool &target);
	rte_mbuf *copy_segment(const rte_mbuf &segment, rte_mempool &target);

	struct Pool {
		const rte_mempool *pool = nullptr;
		rte_mempool *target = nullptr;  // null: what is of that pool passes
	};
	static constexpr unsigned kPools = 4;

	Pool last_;  // the last segment's
	Pool pools_[kPools];
	unsigned next_ = 0;     // to be replaced
	uint64_t version_ = 0;  // of all there are, when that was so
	iovad_ethdev_bounce_stats stats_{};
};

}  // namespace iovad::eal
