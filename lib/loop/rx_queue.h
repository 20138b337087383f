// SPDX-License-Identifier: BSD-3-Clause
// A receive queue: a ring of descriptors, each an mbuf's address as it was when the mbuf was posted.
//
//   posted_   the driver puts fresh mbufs up to here    the application's thread
//   filled_   the device has written up to here         the sender's, under the inlet's lock
//   taken_    the application has got up to here        the application's thread
//
// They count descriptors, and run on.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "loop/dma.h"
#include "loop/packet.h"

namespace iovad::loop {

class RxQueue {
public:
	struct Config {
		uint16_t port, queue;
		uint16_t descriptors;
		uint16_t refill;  // posts this many at a time, at least
		bool scatter;     // a packet may take several descriptors
		rte_mempool *pool;
	};
	struct Counts {
		Counter packets, bytes, no_mbuf;             // by the application's thread
		Counter missed, too_long, refused;           // by senders: packets
	};

	RxQueue(const Config &config, Reports &reports);
	~RxQueue() { stop(); }

	// Posts mbufs. 0 or a negative errno, logged.
	int start(iovad_domain *domain);
	// All mbufs go back; nobody sends to it any more.
	void stop();

	// The application's side.
	uint16_t receive(rte_mbuf **out, uint16_t n);

	// The device's side. All packets between begin() and end() are seen at once.
	void begin() { dma_.begin(); }
	void end();
	void deliver(const Packet &packet);

	const Config &config() const { return config_; }
	const Counts &counts() const { return counts_; }
	const Dma &dma() const { return dma_; }

private:
	struct Descriptor {
		rte_mbuf *mbuf;
		rte_iova_t iova;
		char *memory;   // while the device writes
		uint32_t len;
		bool last;      // of its packet
		bool unusable;  // refused by the IOMMU: nothing was written
	};
	Descriptor &at(uint32_t n) { return ring_[n & mask_]; }
	bool reach(uint32_t n, uint32_t len);
	void write(const Packet &packet, uint32_t n);
	void give_up(uint32_t n);
	rte_mbuf *take();
	void refill();
	bool post(uint32_t n);

	const Config config_;
	const uint32_t room_;  // for data in each mbuf
	const uint32_t mask_;
	std::vector<Descriptor> ring_;
	alignas(64) std::atomic<uint32_t> posted_ = 0;
	uint32_t taken_ = 0;
	alignas(64) std::atomic<uint32_t> filled_ = 0;
	uint32_t filling_ = 0;  // the device's own: filled_ follows at the end of a burst
	Dma dma_;
	alignas(64) Counts counts_;
};

}  // namespace iovad::loop
