// SPDX-License-Identifier: BSD-3-Clause
// The cache of one lcore: per bin a loaded magazine and the previous one (Bonwick and
// Adams: with two, an lcore at the edge of a magazine does not go to the depot at every
// turn). get() and put() are the hot paths: no atomic read-modify-write, no shared line
// written, one branch each to the cold side.
//
// Revoking. Another thread may need what an idle lcore holds, and must not wait for it
// to come by. The owner brackets each access by busy_; a reclaimer sets revoked_, makes
// every CPU pass a barrier (asymmetric_fence), and then either sees busy_ and waits, or
// the owner sees revoked_ and stays out: its requests go to the tree meanwhile.
//
//   owner       busy_ = 1;  light();  revoked_?  ...access...  busy_ = 0 (release)
//   reclaimer   revoked_ = 1; heavy(); until !busy_ (acquire)  ...access...  revoked_ = 0 (release)
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
		if (!enter()) [[unlikely]]
			return false;
		Magazine &m = *pair(bin).loaded;
		const unsigned n = m.count();
		if (n == 0 || !good(m.address[n - 1])) [[unlikely]] {
			leave();
			return false;
		}
		address = m.address[n - 1];
		m.set_count(n - 1);
		count(hits_, 1);
		leave();
		return true;
	}

	// Put an address into the loaded magazine. False: no room, or revoked.
	bool put(Bin bin, uint64_t address)
	{
		if (!enter()) [[unlikely]]
			return false;
		Magazine &m = *pair(bin).loaded;
		const unsigned n = m.count();
		if (n == m.capacity) [[unlikely]] {
			leave();
			return false;
		}
		m.address[n] = address;
		m.set_count(n + 1);
		leave();
		return true;
	}

	// n addresses at once, if the loaded magazine has them, or room for them.
	bool get_bulk(Bin bin, uint64_t *addresses, unsigned n)
	{
		if (!enter()) [[unlikely]]
			return false;
		Magazine &m = *pair(bin).loaded;
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
		if (!enter()) [[unlikely]]
			return false;
		Magazine &m = *pair(bin).loaded;
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

	// For the owner, and for a reclaimer between revoke() and restore().
	void detach_all(MagazineList &out);
	template <class Visit> void for_each(Visit visit) const;

	// Addresses that the loaded magazine can take; an lcore without one is granted one.
	unsigned room(Depot &depot, Bin bin);

	void revoke() { revoked_.store(1, std::memory_order_relaxed); }  // ordered by heavy()
	bool revoked() const { return revoked_.load(std::memory_order_relaxed) != 0; }
	bool busy() const { return busy_.load(std::memory_order_acquire) != 0; }
	void restore() { revoked_.store(0, std::memory_order_release); }
	// Magazines that it holds; exact for the owner, a hint for others.
	bool holds_any() const { return held_.load(std::memory_order_relaxed) != 0; }

	uint64_t hits() const { return hits_.load(std::memory_order_relaxed); }
	uint64_t depot_hits() const { return depot_hits_.load(std::memory_order_relaxed); }

	// Which process and lcore it serves; 0: none. Under the lock of the domain's caches.
	uint64_t owner = 0;

private:
	struct Pair {
		Magazine *loaded, *previous;
	};

	bool enter()
	{
		busy_.store(1, std::memory_order_relaxed);
		asymmetric_fence::light();
		// Acquire pairs with restore(): what the reclaimer left is seen.
		if (revoked_.load(std::memory_order_acquire) != 0) [[unlikely]] {
			leave();
			return false;
		}
		return true;
	}
	// Release pairs with busy(): the reclaimer sees what was done inside.
	void leave() { busy_.store(0, std::memory_order_release); }

	Pair &pair(Bin bin) { return pairs_[bin.index]; }
	static void count(std::atomic<uint64_t> &counter, uint64_t n)
	{
		// One writer: a plain addition that others may read.
		counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
	}
	bool refill(Depot &depot, Bin bin);
	bool make_room(Depot &depot, Bin bin, Magazine *&overflow);
	void hold(int magazines)
	{
		held_.store(held_.load(std::memory_order_relaxed) + static_cast<uint32_t>(magazines),
			    std::memory_order_relaxed);
	}

	std::atomic<uint32_t> busy_, revoked_, held_;
	std::atomic<uint64_t> hits_, depot_hits_;
	Magazine *none_;
	Pair pairs_[kBins];
};

template <class Visit> void LcoreCache::for_each(Visit visit) const
{
	for (const Pair &p : pairs_) {
		for (const Magazine *m : {p.loaded, p.previous}) {
			if (m != none_)
				visit(*m);
		}
	}
}

}  // namespace iovad::core
