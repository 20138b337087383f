// SPDX-License-Identifier: BSD-3-Clause
#include "loop/rx_queue.h"

#include <algorithm>
#include <cerrno>

#include <rte_memcpy.h>

#include "loop/log.h"

namespace iovad::loop {

RxQueue::RxQueue(const Config &config, Reports &reports)
	: config_(config), room_(rte_pktmbuf_data_room_size(config.pool) - RTE_PKTMBUF_HEADROOM),
	  mask_(rte_align32pow2(config.descriptors) - 1), ring_(mask_ + 1),
	  dma_(config.queue, IOVAD_FROM_DEVICE, reports)
{
}

int RxQueue::start(iovad_domain *domain)
{
	if (const int error = dma_.open(domain))
		return error;
	refill();
	if (posted_.load(std::memory_order_relaxed) - taken_ == config_.descriptors)
		return 0;
	LOOP_LOG(ERR, "rx queue %u: pool %s has no mbufs for its %u descriptors", config_.queue, config_.pool->name,
		 config_.descriptors);
	stop();
	return -ENOMEM;
}

void RxQueue::stop()
{
	for (const uint32_t posted = posted_.load(std::memory_order_relaxed); taken_ != posted; ++taken_)
		rte_pktmbuf_free_seg(at(taken_).mbuf);
	filling_ = taken_;
	filled_.store(taken_, std::memory_order_relaxed);
	dma_.close();
}

uint16_t RxQueue::receive(rte_mbuf **out, uint16_t n)
{
	// Acquire pairs with the release in end(): what the device wrote is seen.
	const uint32_t filled = filled_.load(std::memory_order_acquire);
	uint16_t got = 0;
	uint64_t bytes = 0;
	while (got < n && taken_ != filled) {
		if (rte_mbuf *packet = take()) [[likely]] {
			bytes += packet->pkt_len;
			out[got++] = packet;
		}
	}
	counts_.packets.add(got);
	counts_.bytes.add(bytes);
	if (config_.descriptors - (posted_.load(std::memory_order_relaxed) - taken_) >= config_.refill)
		refill();
	return got;
}

// The next packet; null where there is none in this descriptor.
rte_mbuf *RxQueue::take()
{
	if (at(taken_).unusable) [[unlikely]] {
		rte_pktmbuf_free_seg(at(taken_++).mbuf);
		return nullptr;
	}
	rte_mbuf *first = at(taken_).mbuf, *segment = first;
	first->port = config_.port;
	first->pkt_len = 0;
	for (;;) {
		const Descriptor &d = at(taken_++);
		segment->data_len = static_cast<uint16_t>(d.len);
		first->pkt_len += d.len;
		if (d.last) [[likely]]
			return first;
		segment = segment->next = at(taken_).mbuf;
		++first->nb_segs;
	}
}

void RxQueue::refill()
{
	constexpr uint32_t kAtOnce = 64;
	for (;;) {
		const uint32_t missing = config_.descriptors - (posted_.load(std::memory_order_relaxed) - taken_);
		if (missing == 0 || !post(std::min(missing, kAtOnce)))
			return;
	}
}

bool RxQueue::post(uint32_t n)
{
	rte_mbuf *fresh[64];
	if (rte_pktmbuf_alloc_bulk(config_.pool, fresh, n) != 0) {
		counts_.no_mbuf.add(n);
		return false;
	}
	const uint32_t first = posted_.load(std::memory_order_relaxed);
	for (uint32_t i = 0; i < n; ++i)
		at(first + i) = {fresh[i], rte_mbuf_data_iova_default(fresh[i]), nullptr, 0, true, false};
	// Release pairs with the acquire in deliver().
	posted_.store(first + n, std::memory_order_release);
	return true;
}

// Release pairs with the acquire in receive().
void RxQueue::end()
{
	filled_.store(filling_, std::memory_order_release);
	dma_.end();
}

void RxQueue::deliver(const Packet &packet)
{
	const uint32_t n = std::max(1u, (packet.len + room_ - 1) / room_);
	if (n > 1 && (!config_.scatter || n > config_.descriptors)) {
		counts_.too_long.add();
		return;
	}
	// Acquire pairs with the release in post().
	if (posted_.load(std::memory_order_acquire) - filling_ < n) {
		counts_.missed.add();
		return;
	}
	bool reached = true;
	for (uint32_t i = 0; i < n; ++i)
		reached &= reach(filling_ + i, std::min(room_, packet.len - i * room_));
	if (reached) [[likely]]
		write(packet, n);
	else
		give_up(n);
	filling_ += n;
}

bool RxQueue::reach(uint32_t n, uint32_t len)
{
	Descriptor &d = at(n);
	d.len = len;
	d.last = false;
	d.memory = len == 0 ? nullptr : dma_.reach(d.iova, len, d.mbuf);
	return d.memory || len == 0;
}

void RxQueue::write(const Packet &packet, uint32_t n)
{
	uint32_t to = filling_, done = 0;  // bytes of that descriptor
	for (const Piece &piece : packet.pieces) {
		for (uint32_t from = 0; from < piece.len;) {
			if (done == at(to).len) {
				++to;
				done = 0;
			}
			const uint32_t len = std::min(piece.len - from, at(to).len - done);
			rte_memcpy(at(to).memory + done, piece.data + from, len);
			from += len;
			done += len;
		}
	}
	at(filling_ + n - 1).last = true;
}

// As a NIC that completes descriptors with an error: the driver posts others.
void RxQueue::give_up(uint32_t n)
{
	for (uint32_t i = 0; i < n; ++i)
		at(filling_ + i).unusable = true;
	counts_.refused.add();
}

}  // namespace iovad::loop
