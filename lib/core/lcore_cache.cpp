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

// The cache may be revoked: then nothing but the own count is touched.
LcoreCache::Visit::Visit(LcoreCache &cache, Bin bin)
	: pair_(cache.pair(bin)), put_(iovad_hot_enter(&pair_.put)), may_change_(cache.may_change())
{
	if (!may_change_)
		return;
	taken_ = load_relaxed(pair_.taken);
	if (Magazine *m = held_in(pair_.loaded); m != cache.none_)
		m->set_count(held(pair_));
	std::atomic_signal_fence(std::memory_order_seq_cst);
	store_relaxed(pair_.taken, ~taken_);
	std::atomic_signal_fence(std::memory_order_seq_cst);
}

LcoreCache::Visit::~Visit()
{
	uint64_t put = put_;
	if (may_change_) {
		put = taken_ + held_in(pair_.loaded)->count();
		// In this order: from the second store on the counts say how many are held.
		std::atomic_signal_fence(std::memory_order_seq_cst);
		store_relaxed(pair_.put, ~put);
		std::atomic_signal_fence(std::memory_order_seq_cst);
		store_relaxed(pair_.taken, taken_);
	}
	iovad_hot_leave(&pair_.put, put);
}

unsigned LcoreCache::held(const Pair &p)
{
	const uint64_t taken = value_of(p.taken), put = value_of(p.put);
	return put > taken ? static_cast<unsigned>(std::min<uint64_t>(put - taken, IOVAD_HOT_SLOTS)) : 0;
}

uint64_t LcoreCache::hits() const
{
	uint64_t hits = 0;
	for (const Pair &p : hot_.pair)
		hits += value_of(p.taken);
	return hits;
}

void LcoreCache::abandon()
{
	for (unsigned bin = 0; bin < kBins; ++bin) {
		Pair &p = hot_.pair[bin];
		const bool cold = says_inside(p.taken) && says_inside(p.put);
		for (Slot *slot : {&p.loaded, &withdrawn_[bin]}) {
			if (Magazine *m = held_in(*slot); m != none_ && !cold)
				m->set_count(held(p));
			store_relaxed(*slot, none_);
		}
		store_relaxed(p.previous, none_);
		// Outside; what it counted stays.
		__atomic_store_n(&p.taken, value_of(p.taken), __ATOMIC_RELEASE);
		__atomic_store_n(&p.put, value_of(p.put), __ATOMIC_RELEASE);
	}
	in_flight_.store(0, std::memory_order_relaxed);
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
	Visit visit(*this, bin);
	if (!visit.may_change())
		return 0;
	unsigned done = 0;
	const uint64_t before = depot_hits();
	// A run that the previous magazine can serve whole is not split: at the border of two
	// magazines every call would come here again.
	if (Pair &p = pair(bin); held_in(p.loaded)->count() < n && held_in(p.previous)->count() >= n)
		swap(p);
	for (;;) {
		Magazine &m = *held_in(pair(bin).loaded);
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
	Visit visit(*this, bin);
	if (!visit.may_change())
		return 0;
	unsigned done = 0;
	if (Pair &p = pair(bin); held_in(p.loaded)->room() < n && held_in(p.previous)->room() >= n)
		swap(p);
	for (;;) {
		Magazine &m = *held_in(pair(bin).loaded);
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
	Visit visit(*this, bin);
	if (!visit.may_change())
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
		store_relaxed(withdrawn_[bin], load_relaxed(hot_.pair[bin].loaded));
		store_relaxed(hot_.pair[bin].loaded, none_);
	}
}

// The counts stay as they are, as only the owner writes them: without a loaded magazine they say nothing.
void LcoreCache::detach_all(MagazineList &out)
{
	for (unsigned bin = 0; bin < kBins; ++bin) {
		Pair &p = hot_.pair[bin];
		if (Magazine *m = held_in(withdrawn_[bin]); m != none_) {
			m->set_count(held(p));
			out.push(m);
		}
		if (Magazine *m = held_in(p.previous); m != none_)
			out.push(m);
		store_relaxed(withdrawn_[bin], none_);
		store_relaxed(p.previous, none_);
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
