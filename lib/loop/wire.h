// SPDX-License-Identifier: BSD-3-Clause
// Where a port receives, for those who send to it: its queues, while it is started. Ports come and go
// in any order, so a wire belongs to a name, and lives as long as somebody at either end does.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "core/spin_lock.h"

namespace iovad::loop {

class RxQueue;

inline constexpr unsigned kMostQueues = 64;
inline constexpr unsigned kMostDescriptors = 4096;  // of a queue

// Senders meet here: one at a time puts packets into a queue.
struct alignas(64) Inlet {
	core::SpinLock lock;
	RxQueue *queue = nullptr;  // under the lock; null: nobody receives here
};

class Wire {
public:
	static std::shared_ptr<Wire> to(const std::string &port);

	// What a port's queue sends goes to the same queue of its peer, or counted from the first
	// again where that has fewer.
	Inlet &inlet(unsigned queue)
	{
		const unsigned n = queues_.load(std::memory_order_relaxed);
		return inlets_[n == 0 ? 0 : queue % n];
	}

	// The receiver's.
	void plug(unsigned queue, RxQueue *receiver);
	void set_queues(unsigned n) { queues_.store(n, std::memory_order_relaxed); }

private:
	std::atomic<unsigned> queues_ = 0;
	std::array<Inlet, kMostQueues> inlets_;
};

}  // namespace iovad::loop
