// SPDX-License-Identifier: BSD-3-Clause
// One transmit queue: packets that the device cannot reach are replaced by headers. Used by the
// thread that uses the queue.
#pragma once

#include "eal/ethdev/header.h"
#include "eal/ethdev/reach.h"
#include "iovad/iovad_ethdev.h"

namespace iovad::eal {

class TxBouncer {
public:
	struct Means {
		iovad_bounce_pool *pool;
		iovad_domain *domain;
		uint64_t limit;        // of what is mapped
		rte_mempool *headers;
		uint16_t port, queue;
	};
	// All from new, its counters too.
	void begin(const Means &means);
	void end() { headers_.give_back_aside(); }

	// How many of them, the first ones, can be sent. The others are as they were.
	uint16_t send(rte_mbuf **packets, uint16_t n, uint32_t copy_max);

	const iovad_ethdev_bounce_stats &stats() const { return stats_; }

private:
	enum class Way { copy, map };

	rte_mbuf *bounce(rte_mbuf &packet, uint32_t copy_max);
	rte_mbuf *bounce_now(rte_mbuf &packet, uint32_t copy_max);
	rte_mbuf *replace(rte_mbuf &packet, Way way);
	rte_mbuf *stand_in(rte_mbuf &segment, Way way);
	bool copy(rte_mbuf &segment, rte_mbuf &header);
	bool map(rte_mbuf &segment, rte_mbuf &header);
	void hold_back(uint16_t n);

	Means means_{};
	Headers headers_;
	Reach reach_;
	iovad_ethdev_bounce_stats stats_{};
};

}  // namespace iovad::eal
