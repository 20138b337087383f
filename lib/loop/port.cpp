// SPDX-License-Identifier: BSD-3-Clause
#include "loop/port.h"

#include <algorithm>
#include <cerrno>
#include <functional>

#include <rte_errno.h>

#include "loop/log.h"

namespace iovad::loop {

namespace {

// The driver's default, or what fits.
uint16_t threshold(uint16_t given, uint16_t descriptors)
{
	return std::clamp<uint16_t>(given == 0 ? 32 : given, 1, std::max<uint16_t>(descriptors / 2, 1));
}

}  // namespace

Port::Port(rte_eth_dev_data &data, const Settings &settings)
	: data_(data), settings_(settings), mac_(settings.mac), wire_(Wire::to(data.name)), peer_(Wire::to(settings.peer)),
	  reports_(data.name)
{
}

// Perhaps it is started. What it has sent to itself goes out first.
Port::~Port()
{
	for (uint16_t q = 0; q < data_.nb_tx_queues; ++q)
		release_tx(q);
	for (uint16_t q = 0; q < data_.nb_rx_queues; ++q)
		release_rx(q);
}

void Port::set_up_rx(uint16_t queue, uint16_t descriptors, const rte_eth_rxconf &conf, rte_mempool *pool)
{
	const uint64_t offloads = conf.offloads | data_.dev_conf.rxmode.offloads;
	data_.rx_queues[queue] = new RxQueue({data_.port_id, queue, descriptors, threshold(conf.rx_free_thresh, descriptors),
					      (offloads & RTE_ETH_RX_OFFLOAD_SCATTER) != 0, pool},
					     reports_);
}

void Port::set_up_tx(uint16_t queue, uint16_t descriptors, const rte_eth_txconf &conf)
{
	data_.tx_queues[queue] = new TxQueue({queue, descriptors, threshold(conf.tx_free_thresh, descriptors), settings_.delay},
					     peer_, reports_);
}

void Port::release_rx(uint16_t queue)
{
	wire_->plug(queue, nullptr);
	delete static_cast<RxQueue *>(data_.rx_queues[queue]);
	data_.rx_queues[queue] = nullptr;
}

void Port::release_tx(uint16_t queue)
{
	delete static_cast<TxQueue *>(data_.tx_queues[queue]);
	data_.tx_queues[queue] = nullptr;
}

iovad_domain *Port::find_domain() const
{
	iovad_domain *domain = iovad_domain_lookup(settings_.domain);
	if (!domain)
		LOOP_LOG(ERR, "%s: there is no domain '%s' (%s). Pools of the mempool driver 'iovad' make one "
			 "(-d librte_mempool_iovad.so --mbuf-pool-ops-name=iovad), or create it in the application "
			 "before the port is started; domain=NAME names another", data_.name, settings_.domain,
			 rte_strerror(rte_errno));
	return domain;
}

int Port::start()
{
	iovad_domain *domain = find_domain();
	if (!domain)
		return -ENOENT;
	reports_.begin(domain, settings_.domain, settings_.panic);
	const int error = start_queues(domain);
	if (error == 0) {
		for (uint16_t q = 0; q < data_.nb_rx_queues; ++q)
			wire_->plug(q, &rx(q));
		wire_->set_queues(data_.nb_rx_queues);
		say(true);
		return 0;
	}
	if (error == -ENOTSUP)
		LOOP_LOG(ERR, "%s: domain '%s' has no software IOMMU for this device to go through. Make it with "
			 "IOVAD_BACKEND_SOFT (the mempool driver: IOVAD_MEMPOOL=backend=soft), in this process",
			 data_.name, settings_.domain);
	stop();
	return error;
}

int Port::start_queues(iovad_domain *domain)
{
	int error = 0;
	for (uint16_t q = 0; error == 0 && q < data_.nb_rx_queues; ++q)
		error = rx(q).start(domain);
	for (uint16_t q = 0; error == 0 && q < data_.nb_tx_queues; ++q)
		error = tx(q).start(domain);
	return error;
}

// What was sent arrives first, also where it is sent to ourselves.
void Port::stop()
{
	for (uint16_t q = 0; q < data_.nb_tx_queues; ++q)
		tx(q).stop();
	wire_->set_queues(0);
	for (uint16_t q = 0; q < data_.nb_rx_queues; ++q) {
		wire_->plug(q, nullptr);
		rx(q).stop();
	}
	reports_.end();
	say(false);
}

// For those who ask DPDK.
void Port::say(bool runs)
{
	const uint8_t state = runs ? RTE_ETH_QUEUE_STATE_STARTED : RTE_ETH_QUEUE_STATE_STOPPED;
	std::fill_n(data_.rx_queue_state, data_.nb_rx_queues, state);
	std::fill_n(data_.tx_queue_state, data_.nb_tx_queues, state);
	data_.dev_link.link_speed = RTE_ETH_SPEED_NUM_100G;
	data_.dev_link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
	data_.dev_link.link_autoneg = RTE_ETH_LINK_FIXED;
	data_.dev_link.link_status = runs ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN;
}

Totals Port::totals() const
{
	Totals now = count();
	std::transform(now.begin(), now.end(), before_.begin(), now.begin(), std::minus<>());
	return now;
}

Totals Port::count() const
{
	Totals t{};
	for (uint16_t q = 0; q < data_.nb_rx_queues; ++q) {
		if (!data_.rx_queues[q])
			continue;
		const RxQueue::Counts &c = rx(q).counts();
		t[kRxPackets] += c.packets.get();
		t[kRxBytes] += c.bytes.get();
		t[kRxMissed] += c.missed.get();
		t[kRxTooLong] += c.too_long.get();
		t[kRxRefused] += c.refused.get();
		t[kRxNoMbuf] += c.no_mbuf.get();
		for (unsigned i = 0; i < kMisuses; ++i)
			t[kRxMisuse + i] += rx(q).dma().count(static_cast<Misuse>(i));
	}
	for (uint16_t q = 0; q < data_.nb_tx_queues; ++q) {
		if (!data_.tx_queues[q])
			continue;
		const TxQueue::Counts &c = tx(q).counts();
		t[kTxPackets] += c.packets.get();
		t[kTxBytes] += c.bytes.get();
		t[kTxRefused] += c.refused.get();
		t[kTxNoPeer] += c.no_peer.get();
		t[kTxTooMany] += c.too_many.get();
		for (unsigned i = 0; i < kMisuses; ++i)
			t[kTxMisuse + i] += tx(q).dma().count(static_cast<Misuse>(i));
	}
	return t;
}

}  // namespace iovad::loop
