// SPDX-License-Identifier: BSD-3-Clause
// The cache of one lcore: per bin a loaded magazine and the previous one (Bonwick and
// Adams: with two, an lcore at the edge of a magazine does not go to the depot at every
// turn). get() and put() are the hot paths: no atomic read-modify-write, no shared line
// written, one branch each to the cold side. They stand in iovad_hot.h, from where they
// are also inlined into programs.
//
// How many the loaded magazine holds is the difference of two counts, of addresses ever put and
// ever taken (which are the hits). Only the owner writes them.
//
// Revoking. Another thread may need what an idle lcore holds, and must not wait for it
// to come by. The owner brackets each access by storing the complement of a count, and the count
// again: of `taken` where it takes, of `put` otherwise. A
// reclaimer first takes the right to change which magazines are held (revoked_, which only
// the cold paths look at), then takes the loaded ones away; on the hot path that looks like
// a magazine that is empty and full at once, and the request goes to the tree. Between a
// store and the load that must not pass it stands an asymmetric fence: one for the compiler
// on the owner's side, heavy() for the reclaimer, so that one of the two sees the other.
//
//   owner, hot   taken = ~t; light; m = loaded; ... m ...              taken = t + n
//   owner, hot   put = ~p;   light; m = loaded; ... m ...              put = p + n
//   owner, cold  put = ~p;   light; if (!revoked_) ... change pairs ...  put = p'
//   reclaimer    revoked_ = 1;    heavy(); until no count says inside (the pairs are mine)
//                loaded = none_;  heavy(); until no count says inside (the magazines are mine)
//                ... loaded = what stays; revoked_ = 0
//
// A cold visit has both counts say inside: then each magazine itself says how many it holds. So whoever
// takes over from a process that died knows whom to ask.
#pragma once

#include <atomic>
#include <cstring>
#include <type_traits>

#include "core/asymmetric_fence.h"
#include "core/depot.h"

namespace iovad::core {

class alignas(64) LcoreCache {
public:
	// none: an empty magazine of capacity 0, shared by all, never written.
	void init(Magazine *none);

	// Take an address of the bin from the loaded magazine. False: none, or revoked.
	bool get(Bin bin, uint64_t &address) { return iovad_hot_get(&pair(bin), &address); }
	// The same if the one on top satisfies a condition.
	template <class Condition> bool get_if(Bin bin, uint64_t &address, Condition good)
	{
		Pair &p = pair(bin);
		const uint64_t taken = iovad_hot_enter(&p.taken);
		const iovad_hot_magazine *m = iovad_hot_loaded(&p);
		const uint64_t held = load_relaxed(p.put) - taken;
		const bool found = held - 1 < m->capacity && good(m->address[held - 1]);
		if (found)
			address = m->address[held - 1];
		iovad_hot_leave(&p.taken, taken + found);
		return found;
	}

	// Put an address into the loaded magazine. False: no room, or revoked.
	bool put(Bin bin, uint64_t address) { return iovad_hot_put(&pair(bin), address); }

	// n addresses at once, if the loaded magazine has them, or room for them.
	bool get_bulk(Bin bin, uint64_t *addresses, unsigned n)
	{
		return iovad_hot_get_bulk(&pair(bin), addresses, n);
	}
	// Multiples of mask + 1 from first to last; false also where that cannot be seen at a glance.
	bool put_bulk(Bin bin, const uint64_t *addresses, unsigned n, uint64_t mask, uint64_t first, uint64_t last)
	{
		return iovad_hot_put_bulk(&pair(bin), addresses, n, mask, first, last);
	}

	// Runs, with the depot's help. Return how many were moved. What put_run() leaves over
	// goes to the tree; with overflow set it may be tried again, once that full magazine,
	// now the caller's, is emptied and back in the depot.
	unsigned get_run(Depot &depot, Bin bin, uint64_t *addresses, unsigned n);
	unsigned put_run(Depot &depot, Bin bin, const uint64_t *addresses, unsigned n,
			 Magazine *&overflow);

	// Addresses that the loaded magazine can take; an lcore without one is granted one.
	unsigned room(Depot &depot, Bin bin);
	bool has_magazine(Bin bin) const { return held_in(hot_.pair[bin.index()].loaded) != none_; }

	// For a reclaimer, in this order; between them heavy(), then await_owner().
	void revoke() { revoked_.store(1, std::memory_order_relaxed); }
	void withdraw();
	void detach_all(MagazineList &out);  // or leave them
	void restore();
	bool revoked() const { return revoked_.load(std::memory_order_relaxed); }
	template <class Wait> bool await_owner(Wait wait) const;

	// Addresses between it and the tree, in the hands of its owner. Release pairs with flying(): whoever sees
	// none sees where they landed.
	void take_off() { in_flight_.store(in_flight_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }
	void land() { in_flight_.store(in_flight_.load(std::memory_order_relaxed) - 1, std::memory_order_release); }
	bool flying() const { return in_flight_.load(std::memory_order_acquire) != 0; }

	// Its owner died, perhaps inside: it holds nothing any more. The magazines are for Depot::rebuild().
	void abandon();

	// Every magazine held, and how many it holds. A consistent picture for a reclaimer only.
	template <class Use> void for_each(Use use) const;

	uint64_t hits() const;
	uint64_t depot_hits() const { return load_relaxed(hot_.depot_hits); }

	// Which process and lcore it serves; 0: none. Changed under the lock of the domain's
	// caches.
	// A process, and below it an lcore and one.
	static constexpr unsigned kLcoreBits = 14;
	bool owned() const { return owner() != 0; }
	uint64_t owner() const { return load_relaxed(hot_.owner); }
	void set_owner(uint64_t owner) { store_relaxed(hot_.owner, owner); }

	// What the hot path sees of it, and back.
	iovad_hot_cache *hot() { return &hot_; }
	static LcoreCache *of(iovad_hot_cache *hot) { return reinterpret_cast<LcoreCache *>(hot); }

private:
	using Pair = iovad_hot_pair;

	// The owner inside on the cold path, from construction to destruction.
	class Visit {
	public:
		Visit(LcoreCache &cache, Bin bin);
		~Visit();
		Visit(const Visit &) = delete;
		Visit &operator=(const Visit &) = delete;

		// Otherwise a reclaimer has the pairs.
		bool may_change() const { return may_change_; }
		void took(uint64_t n) { taken_ += n; }

	private:
		Pair &pair_;
		const uint64_t put_;
		const bool may_change_;
		uint64_t taken_ = 0;
	};

	// A count, whether its owner is inside or not.
	static bool says_inside(uint64_t count) { return count >> 63 != 0; }
	static uint64_t value_of(const uint64_t &count)
	{
		const uint64_t now = load_relaxed(count);
		return says_inside(now) ? ~now : now;
	}
	// Of the loaded magazine, or of what was that until it was withdrawn. A gauge, where its owner goes on.
	static unsigned held(const Pair &p);

	// Whether the owner, inside, may change which magazines are held. Acquire pairs with
	// restore().
	// Fenced here, on the cold path, since threads of several processes use the shared cache: a
	// reclaimer need not reach them.
	bool may_change() const
	{
		asymmetric_fence::full();
		return revoked_.load(std::memory_order_acquire) == 0;
	}

	// Slots are written by the owner, or by a reclaimer that has revoked the cache, and read
	// by others.
	using Slot = iovad_hot_magazine *;
	static Magazine *held_in(const Slot &slot) { return static_cast<Magazine *>(load_relaxed(slot)); }

	Pair &pair(Bin bin)
	{
		return *reinterpret_cast<Pair *>(reinterpret_cast<std::byte *>(hot_.pair) + bin.offset());
	}
	static void swap(Pair &p);
	enum class Visited : uint8_t { never, for_full, for_empty };
	unsigned worth_exchanging(Bin bin, Visited why);
	bool refill(Depot &depot, Bin bin);
	bool make_room(Depot &depot, Bin bin, Magazine *&overflow);

	iovad_hot_cache hot_;  // first, see of()
	std::atomic<uint32_t> revoked_;
	std::atomic<uint32_t> in_flight_;  // written by the owner alone
	Magazine *none_;
	Visited visited_[kBins];  // the depot, when last
	Slot withdrawn_[kBins];  // the loaded ones, while a reclaimer has them
};

static_assert(std::is_standard_layout_v<LcoreCache>);

// Until no count says that the owner is inside; false once wait(round) is. One after the other: a visit that began
// after the fence takes nothing, and each that began before has its count.
template <class Wait> bool LcoreCache::await_owner(Wait wait) const
{
	unsigned round = 0;
	for (const Pair &p : hot_.pair) {
		for (const uint64_t *count : {&p.taken, &p.put}) {
			// Acquire pairs with iovad_hot_leave(): what the owner did inside is seen.
			while (says_inside(__atomic_load_n(count, __ATOMIC_ACQUIRE))) {
				if (!wait(round++))
					return false;
			}
		}
	}
	return true;
}

template <class Use> void LcoreCache::for_each(Use use) const
{
	for (unsigned bin = 0; bin < kBins; ++bin) {
		const Pair &p = hot_.pair[bin];
		for (const Slot *slot : {&p.loaded, &withdrawn_[bin]}) {
			if (const Magazine *m = held_in(*slot); m != none_)
				use(*m, held(p));
		}
		if (const Magazine *m = held_in(p.previous); m != none_)
			use(*m, m->count());
	}
}

}  // namespace iovad::core
