// SPDX-License-Identifier: BSD-3-Clause
#define ALLOW_EXPERIMENTAL_API  // rte_eth_dev_conf_get() was that in 22.11
#include "eal/ethdev/port.h"

#include <algorithm>
#include <cerrno>

#include <rte_errno.h>
#include <rte_malloc.h>

#include "core/clock.h"
#include "eal/dpdk_versions.h"
#include "eal/log/log.h"

namespace iovad::eal {

namespace {

constexpr unsigned kCached = 96;  // headers that an lcore's cache may hold
constexpr unsigned kBurst = 64;   // on their way to a queue
constexpr uint64_t kRetiredNs = 1000 * core::kMillisecond;

uint64_t last_byte(const iovad_bounce_pool &pool) { return pool.state.config.base + pool.state.config.bytes - 1; }

void add(iovad_ethdev_bounce_stats &sum, const iovad_ethdev_bounce_stats &queue)
{
	using Stats = iovad_ethdev_bounce_stats;
	static constexpr uint64_t Stats::*kAll[] = {
		&Stats::tx_passed, &Stats::tx_copied, &Stats::tx_copied_bytes, &Stats::tx_mapped, &Stats::tx_mapped_bytes,
		&Stats::tx_waits, &Stats::tx_held_back, &Stats::rx_passed, &Stats::rx_copied, &Stats::rx_copied_bytes,
		&Stats::rx_dropped_nombuf, &Stats::rx_dropped_length,
	};
	static_assert(sizeof kAll / sizeof *kAll == sizeof(Stats) / sizeof(uint64_t));
	for (const auto counter : kAll)
		sum.*counter += core::load_relaxed(queue.*counter);
}

}  // namespace

uint16_t BouncePort::on_tx(uint16_t, uint16_t, rte_mbuf **packets, uint16_t n, void *tx_queue)
{
	auto &queue = *static_cast<TxQueue *>(tx_queue);
	if (!queue.gate.enter()) [[unlikely]]
		return n;
	n = queue.bouncer.send(packets, n, queue.copy_max->load(std::memory_order_relaxed));
	queue.gate.leave();
	return n;
}

uint16_t BouncePort::on_rx(uint16_t, uint16_t, rte_mbuf **packets, uint16_t n, uint16_t, void *rx_queue)
{
	auto &queue = *static_cast<RxQueue *>(rx_queue);
	if (!queue.gate.enter()) [[unlikely]]
		return n;
	n = queue.bouncer.receive(packets, n);
	queue.gate.leave();
	return n;
}

int BouncePort::check(rte_eth_dev_info &info) const
{
	rte_eth_conf conf;
	if (int error = rte_eth_dev_info_get(id_, &info); error || (error = rte_eth_dev_conf_get(id_, &conf)))
		return error;
	if (info.nb_rx_queues == 0 && info.nb_tx_queues == 0) {
		IOVAD_LOG(ERR, "port %u has no queues yet: configure it first", id_);
		return -EINVAL;
	}
	if (*info.dev_flags & kBondingMember) {
		IOVAD_LOG(ERR, "port %u: a bonded port may send the same mbufs through several ports, and here each would "
			  "find what the one before it replaced: take it out of the bonded port", id_);
		return -ENOTSUP;
	}
	uint64_t offloads = conf.txmode.offloads;
	for (uint16_t q = 0; q < info.nb_tx_queues; ++q) {
		rte_eth_txq_info queue;
		if (rte_eth_tx_queue_info_get(id_, q, &queue) == 0)
			offloads |= queue.conf.offloads;
	}
	if (offloads & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE) {
		IOVAD_LOG(ERR, "port %u: with RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE nobody learns when a buffer is free: "
			  "configure it without", id_);
		return -ENOTSUP;
	}
	if (offloads & RTE_ETH_TX_OFFLOAD_MT_LOCKFREE) {
		IOVAD_LOG(ERR, "port %u: with RTE_ETH_TX_OFFLOAD_MT_LOCKFREE several threads use a queue: configure it without",
			  id_);
		return -ENOTSUP;
	}
	return 0;
}

template <class Queue> void BouncePort::Queues<Queue>::make(uint16_t n)
{
	now.resize(n);
	for (Queue *&queue : now) {
		if (!queue || queue->stuck)
			queue = &all.emplace_back();
	}
}

int BouncePort::add_callbacks(rte_mempool *headers)
{
	uint16_t number = 0;
	for (TxQueue *queue : tx_.now) {
		queue->copy_max = &copy_max_;
		queue->bouncer.begin({pool_, &pool_->domain, last_byte(*pool_), headers, id_, number});
		queue->gate.open();
		queue->callback = rte_eth_add_tx_callback(id_, number++, on_tx, queue);
		if (!queue->callback)
			return -rte_errno;
	}
	number = 0;
	for (RxQueue *queue : rx_.now) {
		queue->bouncer.begin();
		queue->gate.open();
		queue->callback = rte_eth_add_first_rx_callback(id_, number++, on_rx, queue);
		if (!queue->callback)
			return -rte_errno;
	}
	return 0;
}

template <class Queue> void BouncePort::remove_callbacks(Queues<Queue> &queues, Remove *remove)
{
	uint16_t number = 0;
	for (Queue *queue : queues.now) {
		queue->gate.close();
		const Callback callback = std::exchange(queue->callback, nullptr);
		queue->stuck = callback && remove(id_, number, callback) != 0;
		if (callback && !queue->stuck)
			retire(callback);
		++number;
	}
}

void BouncePort::remove_callbacks()
{
	remove_callbacks(tx_, rte_eth_remove_tx_callback);
	remove_callbacks(rx_, rte_eth_remove_rx_callback);
	Gate::shut();
	for (TxQueue *queue : tx_.now) {
		queue->gate.wait();
		queue->bouncer.end();
	}
	for (const RxQueue *queue : rx_.now)
		queue->gate.wait();
}

// There is room: enable() saw to that.
void BouncePort::retire(Callback callback) { retired_.emplace_back(core::now_ns(), callback); }

void BouncePort::free_retired(bool everything)
{
	const uint64_t now = core::now_ns();
	std::erase_if(retired_, [&](const auto &r) {
		const bool old = everything || now - r.first >= kRetiredNs;
		if (old)
			rte_free(const_cast<rte_eth_rxtx_callback *>(r.second));
		return old;
	});
}

int BouncePort::enable(iovad_bounce_pool &pool, uint64_t promised)
{
	rte_eth_dev_info info;
	if (const int error = check(info))
		return error;
	demand_ = demand_of(id_, info);
	if (const int error = check_slots(id_, demand_, pool, promised))
		return error;
	free_retired(false);
	retired_.reserve(retired_.size() + info.nb_rx_queues + info.nb_tx_queues);
	tx_.make(info.nb_tx_queues);
	rx_.make(info.nb_rx_queues);
	rte_mempool *const headers =
		header_pools_.get(demand_.segments() + info.nb_tx_queues * kBurst + rte_lcore_count() * kCached);
	if (!headers)
		return -ENOMEM;
	if (const int error = hold_bounce_pool(pool, id_))
		return error;
	pool_ = &pool;
	copy_max_.store(UINT32_MAX, std::memory_order_relaxed);
	if (const int error = add_callbacks(headers)) {
		IOVAD_LOG(ERR, "port %u: no callbacks (%s)", id_, rte_strerror(-error));
		disable();
		return error;
	}
	counted_ = true;
	return 0;
}

void BouncePort::disable()
{
	remove_callbacks();
	release_bounce_pool(*std::exchange(pool_, nullptr), id_);
}

void BouncePort::close()
{
	if (enabled())
		disable();
	forget_stats();
	free_retired(true);
	header_pools_.leave();
}

iovad_ethdev_bounce_stats BouncePort::stats() const
{
	iovad_ethdev_bounce_stats sum{};
	// Null where there was no memory for one.
	for (const TxQueue *queue : tx_.now) {
		if (queue)
			add(sum, queue->bouncer.stats());
	}
	for (const RxQueue *queue : rx_.now) {
		if (queue)
			add(sum, queue->bouncer.stats());
	}
	return sum;
}

}  // namespace iovad::eal
