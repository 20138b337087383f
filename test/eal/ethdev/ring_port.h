// SPDX-License-Identifier: BSD-3-Clause
// A port whose device is the test: what it sends is taken out of a ring, and what it is to receive
// is put into one. DPDK's net_ring drives it.
#pragma once

#include <vector>

#include <gtest/gtest.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "../test_domain.h"

namespace iovad::test {

class RingPort {
public:
	// Receives into any pool: the driver only wants one.
	RingPort(rte_mempool *pool, unsigned queues = 1, unsigned depth = 256) : name_(unique_name())
	{
		for (unsigned q = 0; q < queues; ++q) {
			tx_.push_back(make_ring(depth));
			rx_.push_back(make_ring(depth));
		}
		const int id = rte_eth_from_rings(name_.c_str(), rx_.data(), queues, tx_.data(), queues, 0);
		EXPECT_GE(id, 0);
		id_ = static_cast<uint16_t>(id);
		const rte_eth_conf conf{};
		EXPECT_EQ(0, rte_eth_dev_configure(id_, static_cast<uint16_t>(queues), static_cast<uint16_t>(queues), &conf));
		for (uint16_t q = 0; q < queues; ++q) {
			EXPECT_EQ(0, rte_eth_rx_queue_setup(id_, q, 64, 0, nullptr, pool));
			EXPECT_EQ(0, rte_eth_tx_queue_setup(id_, q, 64, 0, nullptr));
		}
		EXPECT_EQ(0, rte_eth_dev_start(id_));
	}
	~RingPort()
	{
		close();
		for (const auto &rings : {tx_, rx_}) {
			for (rte_ring *ring : rings) {
				EXPECT_EQ(0u, rte_ring_count(ring));
				rte_ring_free(ring);
			}
		}
	}
	RingPort(const RingPort &) = delete;
	RingPort &operator=(const RingPort &) = delete;

	void close()
	{
		if (!open_)
			return;
		open_ = false;
		EXPECT_EQ(0, rte_eth_dev_stop(id_));
		EXPECT_EQ(0, rte_eth_dev_close(id_));
	}

	uint16_t id() const { return id_; }
	uint16_t send(std::vector<rte_mbuf *> &packets, uint16_t queue = 0) const
	{
		return rte_eth_tx_burst(id_, queue, packets.data(), static_cast<uint16_t>(packets.size()));
	}
	bool send_one(rte_mbuf *m) const { return rte_eth_tx_burst(id_, 0, &m, 1) == 1; }
	// What the device has been given next; null: nothing.
	rte_mbuf *take_sent(unsigned queue = 0) const { return take(tx_[queue]); }

	// As if it came over the wire.
	void arrive(rte_mbuf *m, unsigned queue = 0) const { EXPECT_EQ(0, rte_ring_enqueue(rx_[queue], m)); }
	rte_mbuf *receive_one(uint16_t queue = 0) const
	{
		rte_mbuf *m = nullptr;
		return rte_eth_rx_burst(id_, queue, &m, 1) == 1 ? m : nullptr;
	}

private:
	static rte_ring *make_ring(unsigned depth)
	{
		rte_ring *ring = rte_ring_create(unique_name().c_str(), depth, 0, RING_F_EXACT_SZ);
		EXPECT_NE(nullptr, ring);
		return ring;
	}
	static rte_mbuf *take(rte_ring *ring)
	{
		void *m = nullptr;
		return rte_ring_dequeue(ring, &m) == 0 ? static_cast<rte_mbuf *>(m) : nullptr;
	}

	std::string name_;
	std::vector<rte_ring *> tx_, rx_;
	uint16_t id_ = 0;
	bool open_ = true;
};

}  // namespace iovad::test
