// SPDX-License-Identifier: BSD-3-Clause
// A transmit queue: a ring of descriptors, one for each segment, with its address and length as they were when
// it was sent. One thread's, the device's part too.
//
//   posted_   the application has sent up to here
//   done_     the device has read up to here: at once, or `delay` descriptors late
//   freed_    mbufs up to here went back to their pools: some at a time, as drivers do
//
// They count descriptors, and run on.
#pragma once

#include <memory>
#include <vector>

#include "loop/dma.h"
#include "loop/packet.h"
#include "loop/wire.h"

namespace iovad::loop {

class TxQueue {
public:
	struct Config {
		uint16_t queue;
		uint16_t descriptors;
		uint16_t free;   // gives this many back at a time, at least
		uint32_t delay;
	};
	struct Counts {
		Counter packets, bytes;
		Counter refused;  // packets
		Counter no_peer;  // packets that nobody received
		Counter too_many; // packets of more segments than there are descriptors
	};

	TxQueue(const Config &config, std::shared_ptr<Wire> peer, Reports &reports);
	~TxQueue() { stop(); }

	int start(iovad_domain *domain) { return dma_.open(domain); }
	// The device does what is left to do; all mbufs go back.
	void stop();

	// The application's side.
	uint16_t send(rte_mbuf **packets, uint16_t n);
	// The device catches up; gives back that many packets, or 0: all. Returns how many.
	uint32_t clean_up(uint32_t most);

	const Config &config() const { return config_; }
	const Counts &counts() const { return counts_; }
	const Dma &dma() const { return dma_; }

private:
	struct Descriptor {
		rte_mbuf *segment;
		rte_iova_t iova;
		uint32_t len;
		bool first, last;  // of its packet
	};
	Descriptor &at(uint32_t n) { return ring_[n & mask_]; }
	uint32_t room() const { return config_.descriptors - (posted_ - freed_); }
	bool make_room(uint32_t n);
	void post(rte_mbuf *packet);
	void run(uint32_t late);
	void transmit(RxQueue *receiver);
	uint32_t free_done(uint32_t most);

	const Config config_;
	const uint32_t mask_;
	std::vector<Descriptor> ring_;
	std::vector<Piece> pieces_;  // room for one packet
	uint32_t posted_ = 0, done_ = 0, freed_ = 0;
	const std::shared_ptr<Wire> peer_;
	Dma dma_;
	alignas(64) Counts counts_;
};

}  // namespace iovad::loop
