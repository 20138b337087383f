// SPDX-License-Identifier: BSD-3-Clause
// A test-and-test-and-set lock in shared memory. Held for one operation of the tree or
// of the depot. Not fair on purpose: threads without a core of their own are served too,
// and a ticket whose holder is off the CPU would stop everybody behind it. For the same
// reason a waiter gives up the CPU after a while.
//
// It says which process holds it. A waiter looks, after a while, whether that is alive, and takes the
// lock over where it is not: inherited() tells that what the lock guards may be half done.
#pragma once

#include <atomic>
#include <cstdint>

#include <sched.h>

#include "core/process.h"

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
	// For all locks of this process, before others can see one: until then nobody tells whether it died.
	static void introduce(ProcessId process = this_process()) { holder_.store(process, std::memory_order_relaxed); }

	// True: it is taken over from a process that died.
	bool lock()
	{
		while (!try_lock()) [[unlikely]] {
			if (wait())
				return true;
		}
		return false;
	}
	// Acquire pairs with the release in unlock().
	bool try_lock()
	{
		ProcessId nobody = 0;
		return locked_.compare_exchange_strong(nobody, self(), std::memory_order_acquire, std::memory_order_relaxed);
	}
	void unlock() { locked_.store(0, std::memory_order_release); }

	// A process that died has it, and nobody has taken it over yet.
	bool abandoned() const
	{
		return is_dead(locked_.load(std::memory_order_relaxed));
	}
	// With the lock held: whether a process died with it since set_sound().
	bool inherited() const { return inherited_.load(std::memory_order_relaxed); }
	void set_sound() { inherited_.store(false, std::memory_order_relaxed); }

private:
	static constexpr unsigned kSpins = 1000;
	// Not many: where there are more threads than CPUs each yield may take a time slice of all of them.
	static constexpr unsigned kYieldsToLook = 64;
	static constexpr ProcessId kSomebody = ~ProcessId{0};

	// True: it is the caller's now, taken over from a process that died.
	[[gnu::noinline, gnu::cold]] bool wait()
	{
		for (unsigned i = 0; const ProcessId holder = locked_.load(std::memory_order_relaxed); ++i) {
			if (i < kSpins) {
				cpu_relax();
				continue;
			}
			sched_yield();
			if ((i - kSpins) % kYieldsToLook == kYieldsToLook - 1 && is_dead(holder) && inherit(holder))
				return true;
		}
		return false;
	}
	static bool is_dead(ProcessId holder)
	{
		return holder != 0 && holder != self() && holder != kSomebody && is_gone(holder);
	}
	bool inherit(ProcessId holder)
	{
		if (!locked_.compare_exchange_strong(holder, self(), std::memory_order_acquire, std::memory_order_relaxed))
			return false;
		inherited_.store(true, std::memory_order_relaxed);
		return true;
	}

	static ProcessId self() { return holder_.load(std::memory_order_relaxed); }

	static inline std::atomic<ProcessId> holder_ = kSomebody;  // told again with each domain: always the same

	std::atomic<ProcessId> locked_ = 0;
	std::atomic<bool> inherited_ = false;
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
