// SPDX-License-Identifier: BSD-3-Clause
// The lock that every baseline takes around every operation: one test-and-set
// word on a cache line of its own, so that contestants differ in their trees only.
#pragma once

#include <atomic>

namespace iovad::baselines {

class alignas(64) SpinLock {
public:
	void lock()
	{
		// acquire pairs with the release in unlock().
		while (taken_.exchange(true, std::memory_order_acquire)) {
			// Wait on a shared copy of the line instead of pulling it back and forth.
			while (taken_.load(std::memory_order_relaxed))
				relax();
		}
	}

	void unlock()
	{
		taken_.store(false, std::memory_order_release); // pairs with lock()
	}

private:
	static void relax()
	{
#if defined(__x86_64__)
		__builtin_ia32_pause();
#endif
	}

	std::atomic<bool> taken_{false};
};

}  // namespace iovad::baselines
