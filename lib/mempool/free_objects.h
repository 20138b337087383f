// SPDX-License-Identifier: BSD-3-Clause
// The free objects of a pool: stacks, since what was used last is what the CPU still has in
// its caches. One home for each of a few lcores, so that they do not wait for each other,
// and a ring that has room for all.
//
// put: into the home of this lcore, into the ring where that is full.
// get: from the home, from the ring where that has too few. Only where both have are the homes
// locked and emptied into the ring: a get fails only if the pool has too few free objects at
// that moment, wherever they lie.
//
// A ring, since what goes through it comes from one lcore and goes to another: at a stack these
// meet at every object. Tried: moving many at a time between home and ring, which was slower,
// since the pointers then go from cache to cache twice.
//
// Plain data in EAL's memory, which all processes have at the same address.
#pragma once

#include <cstdint>

#include <rte_ring.h>

#include "core/spin_lock.h"

namespace iovad::mempool {

class FreeObjects {
public:
	// Room for so many. Null: no memory.
	static FreeObjects *create(uint32_t size, int socket_id);
	static void destroy(FreeObjects *objects);  // may be null

	// Both: all or nothing. Any thread of any process; lcore LCORE_ID_ANY is one too.
	bool put(unsigned lcore, void *const *from, uint32_t n)
	{
		if (homes_[lcore % kHomes].put(from, n)) [[likely]]
			return true;
		return rte_ring_mp_enqueue_bulk(common_, from, n, nullptr) != 0;
	}
	bool get(unsigned lcore, void **to, uint32_t n)
	{
		if (homes_[lcore % kHomes].get(to, n)) [[likely]]
			return true;
		return rte_ring_mc_dequeue_bulk(common_, to, n, nullptr) != 0 || get_from_all(to, n);
	}
	// Exact when nothing runs beside it.
	uint32_t count() const;

private:
	static constexpr uint32_t kHomes = 8;
	// At most, and all homes together no more than the pool has. The largest cache in front
	// of a driver (512) gets and puts less at a time.
	static constexpr uint32_t kHomeObjects = 1024;
	// From a home to the ring at once: what a process that is killed takes with it.
	static constexpr uint32_t kMoved = 32;

	struct alignas(64) Stack {
		core::SpinLock lock;
		std::atomic<uint32_t> len;  // written under the lock
		uint32_t capacity;
		void **objects;

		uint32_t count() const { return len.load(std::memory_order_relaxed); }
		bool put(void *const *from, uint32_t n);
		bool get(void **to, uint32_t n);
		void push(void *const *from, uint32_t n);
		void pop(void **to, uint32_t n);
		void move_all(rte_ring *to);
	};

	bool get_from_all(void **to, uint32_t n);

	Stack homes_[kHomes];
	rte_ring *common_;
};

// One object comes and goes alone more often than not, and a call of memcpy() costs more.
inline void copy_objects(void **to, void *const *from, uint32_t n)
{
	if (n == 1)
		*to = *from;
	else
		__builtin_memcpy(to, from, n * sizeof *to);
}

inline void FreeObjects::Stack::push(void *const *from, uint32_t n)
{
	const uint32_t before = count();
	copy_objects(objects + before, from, n);
	len.store(before + n, std::memory_order_relaxed);
}

inline void FreeObjects::Stack::pop(void **to, uint32_t n)
{
	const uint32_t after = count() - n;
	copy_objects(to, objects + after, n);
	len.store(after, std::memory_order_relaxed);
}

// What is read without the lock may be wrong either way: then the ring is asked.
inline bool FreeObjects::Stack::put(void *const *from, uint32_t n)
{
	if (capacity - count() < n)
		return false;
	core::LockGuard guard(lock);
	if (capacity - count() < n) [[unlikely]]
		return false;
	push(from, n);
	return true;
}

inline bool FreeObjects::Stack::get(void **to, uint32_t n)
{
	if (count() < n)
		return false;
	core::LockGuard guard(lock);
	if (count() < n) [[unlikely]]
		return false;
	pop(to, n);
	return true;
}

}  // namespace iovad::mempool
