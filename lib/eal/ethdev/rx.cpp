// SPDX-License-Identifier: BSD-3-Clause
#include "eal/ethdev/rx.h"

#include <rte_memcpy.h>

#include "eal/bounce/pktmbuf_pool.h"
#include "eal/ethdev/count.h"

namespace iovad::eal {

void RxBouncer::begin()
{
	forget(bounce_targets_version());
	stats_ = {};
}

void RxBouncer::forget(uint64_t version)
{
	version_ = version;
	last_ = Pool();
	for (Pool &known : pools_)
		known = Pool();
}

void RxBouncer::find(const rte_mempool *pool)
{
	for (const Pool &known : pools_) {
		if (known.pool == pool) {
			last_ = known;
			return;
		}
	}
	last_ = {pool, bounce_target(pool)};
	pools_[next_++ % kPools] = last_;
}

uint16_t RxBouncer::receive(rte_mbuf **packets, uint16_t n)
{
	const uint64_t version = bounce_targets_version();
	if (version != version_) [[unlikely]]
		forget(version);
	uint16_t kept = 0, passed = 0;
	for (uint16_t i = 0; i < n; ++i) {
		rte_mbuf *packet = packets[i];
		if (rte_mempool *target = target_of(*packet)) {
			rte_mbuf *original = packet;
			packet = copy(*original, *target);
			rte_pktmbuf_free(original);
			if (!packet)
				continue;
		} else {
			++passed;
		}
		packets[kept++] = packet;
	}
	count(stats_.rx_passed, passed);
	return kept;
}

rte_mbuf *RxBouncer::copy(const rte_mbuf &packet, rte_mempool &target)
{
	rte_mbuf *first = nullptr, **link = &first;
	uint32_t len = 0;
	uint16_t segments = 0;
	for (const rte_mbuf *segment = &packet; segment; segment = segment->next) {
		*link = copy_segment(*segment, target);
		if (!*link) {
			rte_pktmbuf_free(first);
			return nullptr;
		}
		link = &(*link)->next;
		len += segment->data_len;
		++segments;
	}
	__rte_pktmbuf_copy_hdr(first, &packet);
	first->timesync = packet.timesync;  // which DPDK leaves out
	first->ol_flags |= packet.ol_flags & ~(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
	first->pkt_len = len;
	first->nb_segs = segments;
	count(stats_.rx_copied, 1);
	count(stats_.rx_copied_bytes, len);
	return first;
}

// The device says how much it wrote, and may lie.
rte_mbuf *RxBouncer::copy_segment(const rte_mbuf &segment, rte_mempool &target)
{
	const uint16_t len = segment.data_len;
	if (segment.data_off + len > segment.buf_len) {
		count(stats_.rx_dropped_length, 1);
		return nullptr;
	}
	rte_mbuf *out = rte_pktmbuf_alloc(&target);
	if (!out || len > out->buf_len) {
		rte_pktmbuf_free(out);
		count(stats_.rx_dropped_nombuf, 1);
		return nullptr;
	}
	// At the same place, so that alignment stays as the application set it up.
	out->data_off = segment.data_off + len <= out->buf_len ? segment.data_off
							       : static_cast<uint16_t>(out->buf_len - len);
	out->data_len = len;
	rte_memcpy(rte_pktmbuf_mtod(out, void *), rte_pktmbuf_mtod(&segment, const void *), len);
	return out;
}

}  // namespace iovad::eal
