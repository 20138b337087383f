// SPDX-License-Identifier: BSD-3-Clause
// The depot: where lcores exchange full magazines for empty ones, so that an address
// freed on one lcore reaches another with a lock taken per magazine, not per address.
//
// Budget. A magazine that serves a bin is charged to its zone with all it can ever hold;
// what is charged never exceeds the zone's share. So caches, wherever their magazines
// are, hold at most that share of the space (the kernel's may hold all of it). An lcore
// that gets no magazine for a bin is served by the tree.
//
// Trimming. Full magazines that nobody needed during a period are surplus (the working
// set of Bonwick's depot, its period counted in exchanges, not in time): take_surplus()
// hands them out one at a time to whoever makes an exchange, to be emptied into the tree.
#pragma once

#include "core/magazine.h"
#include "core/spin_lock.h"

namespace iovad::core {

class Depot {
public:
	static constexpr uint32_t kMostFull = 64;     // full magazines per bin
	static constexpr uint32_t kPeriod = 64;       // exchanges
	static constexpr unsigned kMostGranules = 512;   // in one magazine

	struct Charge {
		uint64_t used, most;  // granules
	};

	// percent: the share of each zone's granules that caches may hold.
	void init(Magazine *memory, uint32_t count, const Geometry &geometry, unsigned percent);

	// A full magazine for an empty one of the bin, which may be null, or null: then the
	// empty one stays with the caller.
	Magazine *exchange_empty(Bin bin, Magazine *empty);
	// An empty magazine for a full one, or null: then the caller empties the full one.
	Magazine *exchange_full(Magazine *full);
	// A full magazine that is to be emptied into the tree and put back, or null.
	Magazine *take_surplus(Bin bin);

	// An empty magazine to serve the bin, or null: budget or magazines used up.
	Magazine *grant(Bin bin);
	// It is empty and serves no bin any more.
	void put_back(Magazine *empty);

	// Everything the bins hold, full and empty.
	void take_all(MagazineList &out);
	template <class Visit> void for_each_full(Visit visit);

	// Magazines in use, wherever they are. Acquire pairs with put_back(): who sees none
	// sees what they held back in the tree.
	uint32_t granted() const { return granted_.load(std::memory_order_acquire); }
	Charge charge(unsigned zone);
	uint16_t capacity(Bin bin) const { return capacity_[bin.index()]; }

private:
	struct alignas(64) Shelf {
		SpinLock lock;
		MagazineList full, empty;
		uint32_t exchanges;
		uint32_t fewest;   // full ones in this period
		std::atomic<uint32_t> surplus;  // changed under the lock, peeked at without
	};

	Shelf &shelf(Bin bin) { return shelves_[bin.index()]; }
	static uint64_t most_granules(const Magazine &m) { return m.capacity * m.bin().granules(); }
	static void count_exchange(Shelf &shelf);

	Shelf shelves_[kBins];
	uint16_t capacity_[kBins];
	alignas(64) SpinLock pool_lock_;
	MagazineList pool_;
	Charge charge_[kZones];
	std::atomic<uint32_t> granted_;
};

template <class Visit> void Depot::for_each_full(Visit visit)
{
	for (Shelf &shelf : shelves_) {
		LockGuard guard(shelf.lock);
		for (const iovad_hot_magazine *m = shelf.full.head; m; m = m->next)
			visit(*static_cast<const Magazine *>(m));
	}
}

}  // namespace iovad::core
