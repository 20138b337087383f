// SPDX-License-Identifier: BSD-3-Clause
// Lets the one thread that uses a queue in and out at the cost of plain stores, and another thread
// wait until it is out. Shut for many queues: close() each, shut(), then wait() for each.
#pragma once

#include <atomic>

#include <rte_cycles.h>

#include "core/asymmetric_fence.h"

namespace iovad::eal {

class Gate {
public:
	// False: closed.
	bool enter()
	{
		// The store must come before the load, for shut()'s sake, which sees to that: here the
		// compiler is kept from changing their order.
		inside_.store(true, std::memory_order_relaxed);
		std::atomic_signal_fence(std::memory_order_seq_cst);
		// Pairs with open(): what was written before is seen.
		if (open_.load(std::memory_order_acquire)) [[likely]]
			return true;
		leave();
		return false;
	}
	// Pairs with wait(): whoever waited sees what was done inside.
	void leave() { inside_.store(false, std::memory_order_release); }

	void open() { open_.store(true, std::memory_order_release); }
	void close() { open_.store(false, std::memory_order_relaxed); }
	// After this, any thread that does not see the gate closed is seen inside.
	static void shut()
	{
		// Where the kernel cannot do it: no store waits that long to be seen.
		if (!core::asymmetric_fence::heavy(core::asymmetric_fence::Reach::this_process))
			rte_delay_us_sleep(10000);
	}
	void wait() const
	{
		while (inside_.load(std::memory_order_acquire))
			rte_delay_us_sleep(10);
	}

private:
	std::atomic<bool> inside_ = false, open_ = false;
};

}  // namespace iovad::eal
