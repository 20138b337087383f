// SPDX-License-Identifier: BSD-3-Clause
// One port: its queues' callbacks in ethdev, and the headers that stand for its packets.
//
// A thread may still be on its way into a callback, or out of it, when that was removed. So queues
// stay for good; a gate in front of each keeps late ones from the pool. They are used anew when the
// port is enabled again, unless DPDK did not let go of the callback, as it does not for queues
// that the port has no more. The callbacks that were removed, which DPDK leaves to us, are freed some
// time later.
#pragma once

#include <atomic>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include <rte_ethdev.h>

#include "eal/bounce/pool.h"
#include "eal/ethdev/demand.h"
#include "eal/ethdev/gate.h"
#include "eal/ethdev/header_pools.h"
#include "eal/ethdev/rx.h"
#include "eal/ethdev/tx.h"

namespace iovad::eal {

// One thread at a time, but for the callbacks.
class BouncePort {
public:
	explicit BouncePort(uint16_t id) : id_(id), header_pools_(id) {}
	BouncePort(const BouncePort &) = delete;
	BouncePort &operator=(const BouncePort &) = delete;

	bool enabled() const { return pool_ != nullptr; }
	std::string pool_name() const { return pool_ ? pool_->name : std::string(); }
	// promised: bytes of the pool that other ports want. 0 or a negative errno, and then it is disabled
	// and has no counters. forget_stats() comes first.
	int enable(iovad_bounce_pool &pool, uint64_t promised);
	void disable();
	// It goes away, and so nobody uses its queues.
	void close();
	// Pools of mbufs that the port no longer uses, once all are back.
	void free_idle(uint64_t now_ns) { header_pools_.free_idle(now_ns); }

	// Bytes that it is known to want of this pool.
	uint64_t wants(const iovad_bounce_pool &pool) const { return pool_ == &pool ? demand_.known_bytes() : 0; }

	void set_copy_max(uint32_t bytes) { copy_max_.store(bytes, std::memory_order_relaxed); }
	// Whether there are any.
	bool has_stats() const { return counted_; }
	void forget_stats() { counted_ = false; }
	iovad_ethdev_bounce_stats stats() const;

private:
	using Callback = const rte_eth_rxtx_callback *;
	struct alignas(64) TxQueue {
		Gate gate;
		TxBouncer bouncer;
		const std::atomic<uint32_t> *copy_max = nullptr;
		Callback callback = nullptr;
		bool stuck = false;  // DPDK has kept the callback, which may be called again
	};
	struct alignas(64) RxQueue {
		Gate gate;
		RxBouncer bouncer;
		Callback callback = nullptr;
		bool stuck = false;
	};
	template <class Queue> struct Queues {
		std::deque<Queue> all;     // that there ever were
		std::vector<Queue *> now;  // by number
		void make(uint16_t n);
	};
	using Remove = int(uint16_t port, uint16_t queue, Callback callback);
	static uint16_t on_tx(uint16_t port, uint16_t queue, rte_mbuf **packets, uint16_t n, void *tx_queue);
	static uint16_t on_rx(uint16_t port, uint16_t queue, rte_mbuf **packets, uint16_t n, uint16_t most, void *rx_queue);

	int check(rte_eth_dev_info &info) const;
	int add_callbacks(rte_mempool *headers);
	void remove_callbacks();
	template <class Queue> void remove_callbacks(Queues<Queue> &queues, Remove *remove);
	void retire(Callback callback);
	void free_retired(bool all);

	const uint16_t id_;
	iovad_bounce_pool *pool_ = nullptr;
	Demand demand_;
	HeaderPools header_pools_;
	bool counted_ = false;  // since the port was enabled
	std::atomic<uint32_t> copy_max_ = UINT32_MAX;
	Queues<TxQueue> tx_;
	Queues<RxQueue> rx_;
	std::vector<std::pair<uint64_t, Callback>> retired_;  // when they were removed
};

}  // namespace iovad::eal
