// SPDX-License-Identifier: BSD-3-Clause
// The cache of one lcore: per bin a loaded magazine and the previous one (Bonwick and
// Adams: with two, an lcore at the edge of a magazine does not go to the depot at every
// turn). get() and put() are the hot paths: no atomic read-modify-write, no shared line
// written, one branch each to the cold side.
//
// Revoking. Another thread may need what an idle lcore holds, and must not wait for it
// to come by. The owner brackets each access by busy_. A reclaimer first takes the right
// to change which magazines are held (revoked_, which only the cold paths look at), then
// takes the loaded ones away; on the hot path that looks like a magazine that is empty
// and full at once, and the request goes to the tree. Between a store and the load that
// must not pass it stands an asymmetric fence: light() for the owner, heavy() for the
// reclaimer, so that one of the two sees the other.
//
//   owner, hot   busy_ = 1; light(); m = loaded; ... m ...                busy_ = 0
//   owner, cold  busy_ = 1; light(); if (!revoked_) ... change pairs ...  busy_ = 0
//   reclaimer    revoked_ = 1;    heavy(); until !busy_   (the pairs are mine)
//                loaded = none_;  heavy(); until !busy_   (the magazines are mine)
//                ... loaded = what stays; revoked_ = 0
#pragma once

#include <cstring>

#include "core/asymmetric_fence.h"
#include "core/depot.h"

namespace iovad::core {

class alignas(64) LcoreCache {
public:
	// none: an empty magazine of capacity 0, shared by all, never written.
	void init(Magazine *none);

	// Take an address of the bin from the loaded magazine. False: none, or revoked.
	bool get(Bin bin, uint64_t &address)
	{
		return get_if(bin, address, [](uint64_t) { return true; });
	}
	// The same if the one on top satisfies a condition.
	template <class Condition> bool get_if(Bin bin, uint64_t &address, Condition good)
	{
		Magazine &m = enter(bin);
		const unsigned n = m.count();
		if (n == 0 || !good(m.address[n - 1])) [[unlikely]] {
			leave();
			return false;
		}
		m.set_count(n - 1);
		count(hits_, 1);
		address = m.address[n - 1];
		leave();
		return true;
	}

	// Put an address into the loaded magazine. False: no room, or revoked.
	bool put(Bin bin, uint64_t address)
	{
		Magazine &m = enter(bin);
		const unsigned n = m.count();
		if (n == m.capacity) [[unlikely]] {
			leave();
			return false;
		}
		m.set_count(n + 1);
		m.address[n] = address;
		leave();
		return true;
	}

	// n addresses at once, if the loaded magazine has them, or room for them.
	bool get_bulk(Bin bin, uint64_t *addresses, unsigned n)
	{
		Magazine &m = enter(bin);
		const unsigned held = m.count();
		if (n > held) [[unlikely]] {
			leave();
			return false;
		}
		std::memcpy(addresses, m.address + (held - n), n * sizeof(uint64_t));
		m.set_count(held - n);
		count(hits_, n);
		leave();
		return true;
	}
	bool put_bulk(Bin bin, const uint64_t *addresses, unsigned n)
	{
		Magazine &m = enter(bin);
		const unsigned held = m.count();
		if (n > m.capacity - held) [[unlikely]] {
			leave();
			return false;
		}
		std::memcpy(m.address + held, addresses, n * sizeof(uint64_t));
		m.set_count(held + n);
		leave();
		return true;
	}

	// Runs, with the depot's help. Return how many were moved. What put_run() leaves over
	// goes to the tree; with overflow set it may be tried again, once that full magazine,
	// now the caller's, is emptied and back in the depot.
	unsigned get_run(Depot &depot, Bin bin, uint64_t *addresses, unsigned n);
	unsigned put_run(Depot &depot, Bin bin, const uint64_t *addresses, unsigned n,
			 Magazine *&overflow);

	// Addresses that the loaded magazine can take; an lcore without one is granted one.
	unsigned room(Depot &depot, Bin bin);

	// For a reclaimer, in this order; between them heavy(), then wait while busy().
	void revoke() { revoked_.store(1, std::memory_order_relaxed); }
	void withdraw();
	void detach_all(MagazineList &out);  // or leave them
	void restore();
	bool revoked() const { return revoked_.load(std::memory_order_relaxed); }
	// Acquire pairs with leave(): what the owner did inside is seen.
	bool busy() const { return busy_.load(std::memory_order_acquire) != 0; }

	// Every magazine held. A consistent picture for a reclaimer only.
	template <class Visit> void for_each(Visit visit) const;

	uint64_t hits() const { return hits_.load(std::memory_order_relaxed); }
	uint64_t depot_hits() const { return depot_hits_.load(std::memory_order_relaxed); }

	// Which process and lcore it serves; 0: none. Changed under the lock of the domain's
	// caches.
	bool owned() const { return owner_.load(std::memory_order_relaxed) != 0; }
	void set_owner(uint64_t owner) { owner_.store(owner, std::memory_order_relaxed); }

private:
	// Written by the owner, or by a reclaimer that has revoked the cache; read by others.
	class Slot {
	public:
		Magazine *get() const { return m_.load(std::memory_order_relaxed); }
		void set(Magazine *m) { m_.store(m, std::memory_order_relaxed); }
		// Acquire and release: what a reclaimer did to a magazine that it gives back is
		// seen by the owner's hot path.
		Magazine *acquire() const { return m_.load(std::memory_order_acquire); }
		void release(Magazine *m) { m_.store(m, std::memory_order_release); }

	private:
		std::atomic<Magazine *> m_;
	};
	struct Pair {
		Slot loaded, previous;
	};

	Magazine &enter(Bin bin)
	{
		busy_.store(1, std::memory_order_relaxed);
		asymmetric_fence::light();
		return *pair(bin).loaded.acquire();
	}
	bool enter_cold()
	{
		busy_.store(1, std::memory_order_relaxed);
		asymmetric_fence::light();
		// Acquire pairs with restore().
		if (revoked_.load(std::memory_order_acquire) == 0)
			return true;
		leave();
		return false;
	}
	// Release pairs with busy().
	void leave() { busy_.store(0, std::memory_order_release); }

	static_assert(sizeof(Pair) == Bin::kBytes);
	Pair &pair(Bin bin)
	{
		return *reinterpret_cast<Pair *>(reinterpret_cast<std::byte *>(pairs_) + bin.offset());
	}
	static void count(std::atomic<uint64_t> &counter, uint64_t n)
	{
		// One writer: a plain addition that others may read. In one instruction where
		// the compiler makes three of it.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
		asm("addq %1, %0" : "+m"(counter) : "er"(n) : "cc");
#else
		counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
#endif
	}
	static void swap(Pair &p);
	bool refill(Depot &depot, Bin bin);
	bool make_room(Depot &depot, Bin bin, Magazine *&overflow);

	// What the hot paths store lies at other offsets in its line than the count of a
	// magazine, which they load next: where the addresses of both are equal in their low
	// 12 bits, the processor would take one for the other and wait.
	std::atomic<uint64_t> owner_;
	std::atomic<uint32_t> revoked_, busy_;
	std::atomic<uint64_t> hits_, depot_hits_;
	Pair pairs_[kBins];
	Magazine *none_;
	Slot withdrawn_[kBins];  // the loaded ones, while a reclaimer has them
};

template <class Visit> void LcoreCache::for_each(Visit visit) const
{
	for (unsigned bin = 0; bin < kBins; ++bin) {
		for (const Slot *slot : {&pairs_[bin].loaded, &pairs_[bin].previous, &withdrawn_[bin]}) {
			const Magazine *m = slot->get();
			if (m != none_)
				visit(*m);
		}
	}
}

}  // namespace iovad::core
