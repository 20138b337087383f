// SPDX-License-Identifier: BSD-3-Clause
// The depot: where lcores exchange full magazines for empty ones, so that an address
// freed on one lcore reaches another with a lock taken per magazine, not per address.
//
// Budget. A magazine that serves a bin is charged to its zone with all it can ever hold;
// what is charged never exceeds the zone's share. So caches, wherever their magazines
// are, hold at most that share of the space (the kernel's may hold all of it). An lcore
// that gets no magazine for a bin is served by the tree.
//
// Trimming. Magazines that nobody needed during a period are surplus: the fewest that
// there were at any time of it, full and empty apart (the working set of Bonwick's
// depot). Somebody, on no lcore's path, ends periods and takes the surplus away.
//
// Size. Where there is plenty for all lcores, magazines hold what fits in one. Elsewhere a
// bin's begin with half of it and grow, as Bonwick and Adams have it, when many lcores met at
// its shelf during a period: larger ones are exchanged less often. Those of different size may
// be in use at once; an empty one that is handed out again is brought to the size of the day.
#pragma once

#include <span>

#include "core/magazine.h"
#include "core/spin_lock.h"

namespace iovad::core {

class Depot {
public:
	static constexpr uint32_t kMostFull = 64;     // full magazines per bin
	static constexpr unsigned kMostGranules = 512;   // in one magazine
	static constexpr uint64_t kContended = 16;    // in a period; from this on magazines grow

	struct Charge {
		uint64_t used, most;  // granules
	};
	// What there is of a bin.
	struct View {
		uint32_t full, empty;  // magazines
		uint32_t capacity;     // addresses, of those handed out now
		uint64_t contended;    // times that an lcore found the shelf locked
	};

	// percent: the share of each zone's granules that caches may hold.
	void init(Magazine *memory, uint32_t count, const Geometry &geometry, unsigned percent);

	// Full magazines for empty ones of the bin, which may be null. Returns how many: the first ones
	// are exchanged, the others stay.
	unsigned exchange_empty(Bin bin, std::span<Magazine *> empty);
	// Empty ones for full ones, likewise. None: then the caller empties one.
	unsigned exchange_full(std::span<Magazine *> full);

	// An empty magazine to serve the bin, or null: budget or magazines used up.
	Magazine *grant(Bin bin);
	// It is empty and serves no bin any more.
	void put_back(Magazine *empty);

	// What was not needed since the last call becomes surplus, and magazines of contended
	// bins grow. Returns how many bins those are.
	unsigned end_period();
	// A surplus magazine, which is to be emptied into the tree and put back, or null.
	Magazine *take_surplus(Bin bin);
	// Magazines begin small again.
	void reset_capacities();

	// Everything the bins hold, full and empty.
	void take_all(MagazineList &out);
	template <class Visit> void for_each_full(Visit visit);

	// A process died that may have had magazines in its hands, or a lock. While nobody else uses the depot or has
	// any in hand: all but those that are kept(magazine), by caches, come back. Out go those that hold addresses,
	// to be emptied and put back.
	template <class Kept> void rebuild(Kept kept, MagazineList &out);
	// A process died that held a lock of it.
	bool inherited() const;

	// Magazines in use, wherever they are. Acquire pairs with put_back(): whoever sees none
	// sees what they held back in the tree.
	uint32_t granted() const { return granted_.load(std::memory_order_acquire); }
	Charge charge(unsigned zone);
	View view(Bin bin);

private:
	// Magazines of one kind, and how few of them there were in this period.
	struct Stock {
		MagazineList list;
		uint32_t fewest, surplus;

		Magazine *take();
		Magazine *take_surplus();
		void take_all(MagazineList &out);
		void end_period();
	};
	struct alignas(64) Shelf {
		SpinLock lock;
		Stock full, empty;
		uint64_t contended, contended_before;  // before: this period
	};
	// Holds a shelf's lock for an lcore.
	class ShelfGuard;
	struct Capacity {
		uint16_t now, most;
	};

	Shelf &shelf(Bin bin) { return shelves_[bin.index()]; }
	static uint64_t most_granules(const Magazine &m) { return m.capacity * m.bin().granules(); }
	static uint16_t first_capacity(uint16_t most);
	bool charge_for(Bin bin, unsigned addresses);
	void enlarge(Magazine &empty);
	bool grow(Bin bin);

	void clear_shelves();

	Shelf shelves_[kBins];
	Magazine *first_;  // of all there are
	uint32_t count_;
	alignas(64) SpinLock pool_lock_;
	MagazineList pool_;
	Charge charge_[kZones];
	Capacity capacity_[kBins];  // now: changed under the pool's lock
	std::atomic<uint32_t> granted_;
};

template <class Visit> void Depot::for_each_full(Visit visit)
{
	for (Shelf &shelf : shelves_) {
		LockGuard guard(shelf.lock);
		for (const iovad_hot_magazine *m = shelf.full.list.head; m; m = m->next)
			visit(*static_cast<const Magazine *>(m), static_cast<const Magazine *>(m)->count());
	}
}

template <class Kept> void Depot::rebuild(Kept kept, MagazineList &out)
{
	clear_shelves();
	LockGuard guard(pool_lock_);
	pool_ = {};
	uint32_t granted = 0;
	for (Charge &charge : charge_)
		charge.used = 0;
	for (Magazine *m = first_ + count_; m-- != first_;) {
		const bool is_kept = kept(*m);
		if (!is_kept && m->empty()) {
			pool_.push(m);
			continue;
		}
		++granted;
		charge_[m->bin().zone()].used += most_granules(*m);
		if (!is_kept)
			out.push(m);
	}
	granted_.store(granted, std::memory_order_release);
	pool_lock_.set_sound();
}

}  // namespace iovad::core
