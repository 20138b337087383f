// SPDX-License-Identifier: BSD-3-Clause
#include "eal/ethdev/tx.h"

#include <cinttypes>

#include <rte_ethdev.h>

#include "core/clock.h"
#include "eal/bounce/slot.h"
#include "eal/ethdev/count.h"
#include "eal/log/limit.h"
#include "eal/log/log.h"

namespace iovad::eal {

namespace {

// A packet that is being built. What is left of it when this goes away is freed.
class Chain {
public:
	~Chain() { rte_pktmbuf_free(first_); }
	Chain() = default;
	Chain(const Chain &) = delete;
	Chain &operator=(const Chain &) = delete;

	void append(rte_mbuf &segment)
	{
		if (!first_)
			first_ = &segment;
		else
			last_->next = &segment;
		last_ = &segment;
		len_ += segment.data_len;
		++segments_;
	}
	// All that is said of the packet it replaces.
	rte_mbuf *finish(const rte_mbuf &original)
	{
		rte_mbuf *const out = first_;
		first_ = nullptr;
		__rte_pktmbuf_copy_hdr(out, &original);
		out->timesync = original.timesync;  // which DPDK leaves out
		out->ol_flags |= original.ol_flags & ~(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
		out->pkt_len = len_;
		out->nb_segs = segments_;
		return out;
	}
	rte_mbuf *first() const { return first_; }

private:
	rte_mbuf *first_ = nullptr, *last_ = nullptr;
	uint32_t len_ = 0;
	uint16_t segments_ = 0;
};

// Each of its segments is a header's from now on, to be freed with it; those that are empty are nobody's.
void hand_over(rte_mbuf &packet, rte_mbuf *header)
{
	for (rte_mbuf *segment = &packet, *next; segment; segment = next) {
		next = segment->next;
		if (segment->data_len == 0) {
			rte_pktmbuf_free_seg(segment);
			continue;
		}
		Headers::ticket(*header).original = segment;
		header = header->next;
	}
}

}  // namespace

void TxBouncer::begin(const Means &means)
{
	means_ = means;
	headers_.use(means.headers);
	reach_.begin(*means.domain);
	stats_ = {};
}

uint16_t TxBouncer::send(rte_mbuf **packets, uint16_t n, uint32_t copy_max)
{
	uint16_t bounced = 0, i = 0;
	reach_.begin_burst();
	for (; i < n; ++i) {
		if (reach_.holds(*packets[i])) [[likely]]
			continue;
		rte_mbuf *other = bounce(*packets[i], copy_max);
		if (!other)
			break;
		packets[i] = other;
		++bounced;
	}
	count(stats_.tx_passed, static_cast<uint64_t>(i - bounced));
	if (i < n)
		hold_back(static_cast<uint16_t>(n - i));
	return i;
}

// Null: not now.
rte_mbuf *TxBouncer::bounce(rte_mbuf &packet, uint32_t copy_max)
{
	rte_mbuf *out = bounce_now(packet, copy_max);
	// Drivers keep what was sent until they use its descriptor again, unless they are asked.
	if (!out && rte_eth_tx_done_cleanup(means_.port, means_.queue, 0) > 0)
		out = bounce_now(packet, copy_max);
	return out;
}

rte_mbuf *TxBouncer::bounce_now(rte_mbuf &packet, uint32_t copy_max)
{
	if (packet.pkt_len > copy_max) {
		if (rte_mbuf *out = replace(packet, Way::map)) {
			hand_over(packet, out);
			count(stats_.tx_mapped, 1);
			count(stats_.tx_mapped_bytes, out->pkt_len);
			return out;
		}
	}
	rte_mbuf *out = replace(packet, Way::copy);
	if (out) {
		rte_pktmbuf_free(&packet);
		count(stats_.tx_copied, 1);
		count(stats_.tx_copied_bytes, out->pkt_len);
	}
	return out;
}

// Leaves the packet as it is. Some segment of it holds data, since it is out of reach.
rte_mbuf *TxBouncer::replace(rte_mbuf &packet, Way way)
{
	Chain chain;
	for (rte_mbuf *segment = &packet; segment; segment = segment->next) {
		if (segment->data_len == 0)
			continue;
		rte_mbuf *header = stand_in(*segment, way);
		if (!header)
			return nullptr;
		chain.append(*header);
	}
	return chain.finish(packet);
}

rte_mbuf *TxBouncer::stand_in(rte_mbuf &segment, Way way)
{
	rte_mbuf *header = headers_.take();
	if (!header)
		return nullptr;
	if (way == Way::copy ? copy(segment, *header) : map(segment, *header))
		return header;
	Headers::give_back(header);
	return nullptr;
}

bool TxBouncer::copy(rte_mbuf &segment, rte_mbuf &header)
{
	Ticket t{.state = Ticket::slot, .len = segment.data_len, .pool = means_.pool};
	if (iovad_bounce_map(means_.pool, rte_pktmbuf_mtod(&segment, void *), t.len, 0, IOVAD_TO_DEVICE, &t.iova) != 0)
		return false;
	Headers::attach(header, slot_va(*means_.pool, t.iova), t);
	return true;
}

bool TxBouncer::map(rte_mbuf &segment, rte_mbuf &header)
{
	void *data = rte_pktmbuf_mtod(&segment, void *);
	Ticket t{.state = Ticket::lent, .len = segment.data_len, .iova = rte_pktmbuf_iova(&segment),
		 .domain = means_.domain};
	if (!reach_.holds_segment(segment)) {
		t.state = Ticket::mapped;
		if (iovad_map(means_.domain, data, t.len, means_.limit, IOVAD_TO_DEVICE, &t.iova) != 0)
			return false;
	}
	Headers::attach(header, data, t);
	return true;
}

void TxBouncer::hold_back(uint16_t n)
{
	count(stats_.tx_waits, 1);
	count(stats_.tx_held_back, n);
	static LogLimit limit;
	const LogLimit::Verdict verdict = limit.ask(core::now_ns());
	if (verdict.write)
		IOVAD_LOG(WARNING, "port %u, queue %u: no slot of the bounce pool, or no mbuf, for %u packets: they are not "
			  "sent now. A pool wants a slot for each segment that transmit queues hold; %" PRIu64
			  " more such lines before", means_.port, means_.queue, n, verdict.withheld);
}

}  // namespace iovad::eal
