// SPDX-License-Identifier: BSD-3-Clause
// One receive queue: packets of bounce packet pools are copied to the pools that the
// application wants them in. Used by the thread that uses the queue.
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
			if (segment->pool != seen_)
				look_up(segment->pool);
			if (target_)
				return target_;
		}
		return nullptr;
	}
	void look_up(const rte_mempool *pool);
	rte_mbuf *copy(const rte_mbuf &packet, rte_mempool &target);
	rte_mbuf *copy_segment(const rte_mbuf &segment, rte_mempool &target);

	const rte_mempool *seen_ = nullptr;  // the pool of the last segment, and its target
	rte_mempool *target_ = nullptr;
	uint64_t version_ = 0;               // of the pools, when that was so
	iovad_ethdev_bounce_stats stats_{};
};

}  // namespace iovad::eal
