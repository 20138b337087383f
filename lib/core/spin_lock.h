// SPDX-License-Identifier: BSD-3-Clause
// A test-and-test-and-set lock in shared memory. Held for one operation of the tree or
// of the depot. Not fair on purpose: threads without a core of their own are served too,
// and a ticket whose holder is off the CPU would stop everybody behind it. For the same
// reason a waiter gives up the CPU after a while.
#pragma once

#include <atomic>
#include <cstdint>

#include <sched.h>

namespace iovad::core {

inline void cpu_relax()
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	asm volatile("yield");
#endif
}

class SpinLock {
public:
	void lock()
	{
		while (!try_lock()) [[unlikely]]
			wait();
	}
	// Acquire pairs with the release in unlock().
	bool try_lock() { return locked_.exchange(1, std::memory_order_acquire) == 0; }
	void unlock() { locked_.store(0, std::memory_order_release); }

private:
	static constexpr unsigned kSpins = 1000;

	[[gnu::noinline, gnu::cold]] void wait()
	{
		for (unsigned i = 0; locked_.load(std::memory_order_relaxed) != 0; ++i) {
			if (i < kSpins)
				cpu_relax();
			else
				sched_yield();
		}
	}

	std::atomic<uint32_t> locked_ = 0;
};

class [[nodiscard]] LockGuard {
public:
	explicit LockGuard(SpinLock &lock) : lock_(lock) { lock_.lock(); }
	~LockGuard() { lock_.unlock(); }
	LockGuard(const LockGuard &) = delete;
	LockGuard &operator=(const LockGuard &) = delete;

private:
	SpinLock &lock_;
};

}  // namespace iovad::core
