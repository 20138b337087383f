// SPDX-License-Identifier: BSD-3-Clause
// A port: its settings, what it is wired to, and its queues, which lie in DPDK's own arrays.
// Set up, started, stopped and closed by one thread at a time.
#pragma once

#include <array>
#include <memory>
#include <string>

#include <ethdev_driver.h>

#include "loop/misuse.h"
#include "loop/rx_queue.h"
#include "loop/settings.h"
#include "loop/tx_queue.h"

namespace iovad::loop {

// What its queues have counted, in sum. Of misuse there are kMisuses each.
enum Total : unsigned {
	kRxPackets, kRxBytes, kRxMissed, kRxTooLong, kRxRefused, kRxNoMbuf,
	kTxPackets, kTxBytes, kTxRefused, kTxNoPeer, kTxTooMany,
	kRxMisuse,
	kTxMisuse = kRxMisuse + kMisuses,
	kTotals = kTxMisuse + kMisuses,
};
using Totals = std::array<uint64_t, kTotals>;

class Port {
public:
	Port(rte_eth_dev_data &data, const Settings &settings);
	~Port();

	const Settings &settings() const { return settings_; }
	rte_ether_addr &mac() { return mac_; }

	void set_up_rx(uint16_t queue, uint16_t descriptors, const rte_eth_rxconf &conf, rte_mempool *pool);
	void set_up_tx(uint16_t queue, uint16_t descriptors, const rte_eth_txconf &conf);
	void release_rx(uint16_t queue);
	void release_tx(uint16_t queue);

	// 0 or a negative errno, logged.
	int start();
	void stop();

	// Any thread. Since the last reset.
	Totals totals() const;
	void reset_totals() { before_ = count(); }

	RxQueue &rx(unsigned queue) const { return *static_cast<RxQueue *>(data_.rx_queues[queue]); }
	TxQueue &tx(unsigned queue) const { return *static_cast<TxQueue *>(data_.tx_queues[queue]); }

private:
	Totals count() const;
	iovad_domain *find_domain() const;
	int start_queues(iovad_domain *domain);
	void say(bool runs);

	rte_eth_dev_data &data_;
	const Settings settings_;
	rte_ether_addr mac_;
	const std::shared_ptr<Wire> wire_;  // others send to us
	const std::shared_ptr<Wire> peer_;  // we send to
	Reports reports_;
	Totals before_{};
};

}  // namespace iovad::loop
