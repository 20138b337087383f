// SPDX-License-Identifier: BSD-3-Clause
#include "loop/tx_queue.h"

#include <algorithm>

#include "loop/rx_queue.h"

namespace iovad::loop {

TxQueue::TxQueue(const Config &config, std::shared_ptr<Wire> peer, Reports &reports)
	: config_(config), mask_(rte_align32pow2(config.descriptors) - 1), ring_(mask_ + 1), pieces_(config.descriptors),
	  peer_(std::move(peer)), dma_(config.queue, IOVAD_TO_DEVICE, reports)
{
}

void TxQueue::stop()
{
	run(0);
	free_done(UINT32_MAX);
	dma_.close();
}

uint16_t TxQueue::send(rte_mbuf **packets, uint16_t n)
{
	uint16_t sent = 0;
	for (; sent < n; ++sent) {
		rte_mbuf *packet = packets[sent];
		if (packet->nb_segs > config_.descriptors) [[unlikely]] {
			counts_.too_many.add();
			rte_pktmbuf_free(packet);
		} else if (room() >= packet->nb_segs || make_room(packet->nb_segs)) {
			post(packet);
		} else {
			break;
		}
	}
	run(config_.delay);
	if (done_ - freed_ >= config_.free)
		free_done(UINT32_MAX);
	return sent;
}

uint32_t TxQueue::clean_up(uint32_t most)
{
	run(0);
	return free_done(most == 0 ? UINT32_MAX : most);
}

// The device is late, but not for ever.
bool TxQueue::make_room(uint32_t n)
{
	free_done(UINT32_MAX);
	if (room() < n) {
		run(0);
		free_done(UINT32_MAX);
	}
	return room() >= n;
}

void TxQueue::post(rte_mbuf *packet)
{
	const uint32_t first = posted_;
	rte_mbuf *segment = packet;
	for (uint32_t left = packet->nb_segs; left != 0 && segment; --left, segment = segment->next)
		at(posted_++) = {segment, rte_mbuf_data_iova(segment), segment->data_len, false, false};
	at(first).first = true;
	at(posted_ - 1).last = true;
}

void TxQueue::run(uint32_t late)
{
	if (posted_ - done_ <= late)
		return;
	Inlet &inlet = peer_->inlet(config_.queue);
	dma_.begin();
	{
		const core::LockGuard guard(inlet.lock);
		if (inlet.queue)
			inlet.queue->begin();
		while (posted_ - done_ > late)
			transmit(inlet.queue);
		if (inlet.queue)
			inlet.queue->end();
	}
	dma_.end();
}

void TxQueue::transmit(RxQueue *receiver)
{
	uint32_t pieces = 0, len = 0;
	bool reached = true, last = false;
	while (!last) {
		const Descriptor &d = at(done_++);
		last = d.last;
		if (d.len == 0)
			continue;
		char *data = dma_.reach(d.iova, d.len, d.segment);
		reached &= data != nullptr;
		pieces_[pieces++] = {data, d.len};
		len += d.len;
	}
	if (!reached) [[unlikely]] {
		counts_.refused.add();
		return;
	}
	counts_.packets.add();
	counts_.bytes.add(len);
	if (receiver) [[likely]]
		receiver->deliver({std::span(pieces_.data(), pieces), len});
	else
		counts_.no_peer.add();
}

// Outside of the device's bursts: freeing an mbuf may unmap what it held.
uint32_t TxQueue::free_done(uint32_t most)
{
	constexpr uint32_t kAtOnce = 64;
	rte_mbuf *packets[kAtOnce];
	uint32_t freed = 0, n = 0;
	for (; freed_ != done_ && freed < most; ++freed_) {
		const Descriptor &d = at(freed_);
		if (d.first)
			packets[n++] = d.segment;
		if (!d.last)
			continue;
		++freed;
		if (n == kAtOnce) {
			rte_pktmbuf_free_bulk(packets, n);
			n = 0;
		}
	}
	if (n != 0)
		rte_pktmbuf_free_bulk(packets, n);
	return freed;
}

}  // namespace iovad::loop
