// SPDX-License-Identifier: BSD-3-Clause
#include "core/lcore_cache.h"

#include <algorithm>
#include <utility>

namespace iovad::core {

void LcoreCache::init(Magazine *none)
{
	hot_ = {};
	revoked_ = 0;
	in_flight_ = 0;
	none_ = none;
	for (unsigned bin = 0; bin < kBins; ++bin)
		hot_.pair[bin].loaded = hot_.pair[bin].previous = withdrawn_[bin] = none;
	std::fill_n(visited_, kBins, Visited::never);
}

void LcoreCache::abandon()
{
	for (unsigned bin = 0; bin < kBins; ++bin) {
		for (Slot *slot : {&hot_.pair[bin].loaded, &hot_.pair[bin].previous, &withdrawn_[bin]})
			store_relaxed(*slot, none_);
	}
	in_flight_.store(0, std::memory_order_relaxed);
	// Outside; what it counted stays.
	__atomic_store_n(&hot_.visits, hot_.visits & ~uint64_t{1}, __ATOMIC_RELEASE);
}

void LcoreCache::swap(Pair &p)
{
	iovad_hot_magazine *loaded = load_relaxed(p.loaded);
	store_relaxed(p.loaded, load_relaxed(p.previous));
	store_relaxed(p.previous, loaded);
}

// One magazine of the two; both where the lcore was last at the depot for the same, as one is which frees
// what another allocates: half the visits, each of which is a lock and lines that another wrote.
unsigned LcoreCache::worth_exchanging(Bin bin, Visited why)
{
	return std::exchange(visited_[bin.index()], why) == why ? 2 : 1;
}

// The loaded magazine is empty: put one that is not in its place.
bool LcoreCache::refill(Depot &depot, Bin bin)
{
	Pair &p = pair(bin);
	Magazine *loaded = held_in(p.loaded), *previous = held_in(p.previous);
	if (!previous->empty()) {
		swap(p);
		return true;
	}
	Magazine *m[] = {loaded != none_ ? loaded : nullptr, previous != none_ ? previous : nullptr};
	const unsigned full = depot.exchange_empty(bin, {m, worth_exchanging(bin, Visited::for_full)});
	if (full == 0)
		return false;
	store_relaxed(p.loaded, m[0]);
	if (full == 2)
		store_relaxed(p.previous, m[1]);
	store_relaxed(hot_.depot_hits, depot_hits() + 1);
	return true;
}

unsigned LcoreCache::get_run(Depot &depot, Bin bin, uint64_t *addresses, unsigned n)
{
	Visit visit(hot_);
	if (!may_change())
		return 0;
	unsigned done = 0;
	const uint64_t before = depot_hits();
	// A run that the previous magazine can serve whole is not split: at the border of two
	// magazines every call would come here again.
	if (Pair &p = pair(bin); held_in(p.loaded)->count() < n && held_in(p.previous)->count() >= n)
		swap(p);
	for (;;) {
		Magazine &m = loaded(bin);
		const unsigned held = m.count(), moved = std::min(held, n - done);
		if (moved != 0) {
			std::memcpy(addresses + done, m.address + (held - moved), moved * sizeof(uint64_t));
			m.set_count(held - moved);
			done += moved;
		}
		if (done == n || !refill(depot, bin))
			break;
	}
	// The allocation that made the depot hand out a magazine is the depot's hit.
	visit.took(done - std::min<uint64_t>(done, depot_hits() - before));
	return done;
}

// The loaded magazine has no room: put one that has in its place. Where the depot takes
// no more, a full one becomes overflow.
bool LcoreCache::make_room(Depot &depot, Bin bin, Magazine *&overflow)
{
	Pair &p = pair(bin);
	Magazine *loaded = held_in(p.loaded), *previous = held_in(p.previous);
	if (previous->room() != 0) {
		swap(p);
		return true;
	}
	if (previous == none_) {
		if (Magazine *fresh = depot.grant(bin)) {
			store_relaxed(p.previous, loaded);
			store_relaxed(p.loaded, fresh);
			return true;
		}
	}
	// Two full ones, or one and no second to be had: the older one first.
	Magazine *m[] = {previous, loaded};
	if (previous == none_)
		std::swap(m[0], m[1]);
	if (m[0] == none_)
		return false;
	const unsigned most = m[1] != none_ ? worth_exchanging(bin, Visited::for_empty) : 1;
	const unsigned empty = depot.exchange_full({m, most});
	if (empty == 0) {
		overflow = std::exchange(m[0], m[1]);
		m[1] = none_;
	}
	store_relaxed(p.loaded, m[0]);
	store_relaxed(p.previous, m[1]);
	return empty != 0;
}

unsigned LcoreCache::put_run(Depot &depot, Bin bin, const uint64_t *addresses, unsigned n,
			     Magazine *&overflow)
{
	overflow = nullptr;
	Visit visit(hot_);
	if (!may_change())
		return 0;
	unsigned done = 0;
	if (Pair &p = pair(bin); held_in(p.loaded)->room() < n && held_in(p.previous)->room() >= n)
		swap(p);
	for (;;) {
		Magazine &m = loaded(bin);
		const unsigned held = m.count(), moved = std::min(m.room(), n - done);
		if (moved != 0) {
			std::memcpy(m.address + held, addresses + done, moved * sizeof(uint64_t));
			m.set_count(held + moved);
			done += moved;
		}
		if (done == n || !make_room(depot, bin, overflow))
			break;
	}
	return done;
}

unsigned LcoreCache::room(Depot &depot, Bin bin)
{
	Visit visit(hot_);
	if (!may_change())
		return 0;
	Slot &loaded = pair(bin).loaded;
	if (held_in(loaded) == none_) {
		if (Magazine *fresh = depot.grant(bin))
			store_relaxed(loaded, fresh);
	}
	return held_in(loaded)->room();
}

void LcoreCache::withdraw()
{
	for (unsigned bin = 0; bin < kBins; ++bin) {
		store_relaxed(withdrawn_[bin], held_in(hot_.pair[bin].loaded));
		store_relaxed(hot_.pair[bin].loaded, none_);
	}
}

void LcoreCache::detach_all(MagazineList &out)
{
	for (unsigned bin = 0; bin < kBins; ++bin) {
		for (Slot *slot : {&hot_.pair[bin].previous, &withdrawn_[bin]}) {
			if (held_in(*slot) != none_)
				out.push(held_in(*slot));
			store_relaxed(*slot, none_);
		}
	}
}

void LcoreCache::restore()
{
	for (unsigned bin = 0; bin < kBins; ++bin) {
		if (held_in(withdrawn_[bin]) == none_)
			continue;
		// Release pairs with iovad_hot_loaded(): what a reclaimer did to the magazine is seen.
		__atomic_store_n(&hot_.pair[bin].loaded, load_relaxed(withdrawn_[bin]), __ATOMIC_RELEASE);
		store_relaxed(withdrawn_[bin], none_);
	}
	// Pairs with may_change().
	revoked_.store(0, std::memory_order_release);
}

}  // namespace iovad::core
