// SPDX-License-Identifier: BSD-3-Clause
#include "core/lcore_cache.h"

#include <algorithm>

namespace iovad::core {

void LcoreCache::init(Magazine *none)
{
	busy_ = revoked_ = 0;
	hits_ = depot_hits_ = 0;
	none_ = none;
	owner_ = 0;
	for (unsigned bin = 0; bin < kBins; ++bin) {
		pairs_[bin].loaded.set(none);
		pairs_[bin].previous.set(none);
		withdrawn_[bin].set(none);
	}
}

void LcoreCache::swap(Pair &p)
{
	Magazine *loaded = p.loaded.get();
	p.loaded.set(p.previous.get());
	p.previous.set(loaded);
}

// The loaded magazine is empty: put one that is not in its place.
bool LcoreCache::refill(Depot &depot, Bin bin)
{
	Pair &p = pair(bin);
	Magazine *loaded = p.loaded.get();
	if (!p.previous.get()->empty()) {
		swap(p);
		return true;
	}
	Magazine *full = depot.exchange_empty(bin, loaded != none_ ? loaded : nullptr);
	if (!full)
		return false;
	p.loaded.set(full);
	count(depot_hits_, 1);
	return true;
}

unsigned LcoreCache::get_run(Depot &depot, Bin bin, uint64_t *addresses, unsigned n)
{
	if (!enter_cold())
		return 0;
	unsigned done = 0;
	const uint64_t before = depot_hits();
	// A run that the previous magazine can serve whole is not split: at the border of two
	// magazines every call would come here again.
	if (Pair &p = pair(bin); p.loaded.get()->count() < n && p.previous.get()->count() >= n)
		swap(p);
	for (;;) {
		Magazine &m = *pair(bin).loaded.get();
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
	count(hits_, done - std::min<uint64_t>(done, depot_hits() - before));
	leave();
	return done;
}

// The loaded magazine has no room: put one that has in its place. Where the depot takes
// no more, a full one becomes overflow.
bool LcoreCache::make_room(Depot &depot, Bin bin, Magazine *&overflow)
{
	Pair &p = pair(bin);
	Magazine *loaded = p.loaded.get(), *previous = p.previous.get();
	if (previous->room() != 0) {
		swap(p);
		return true;
	}
	if (previous == none_) {
		if (Magazine *fresh = depot.grant(bin)) {
			p.previous.set(loaded);
			p.loaded.set(fresh);
			return true;
		}
	}
	// Two full ones, or one and no second to be had: exchange the older.
	Slot &older = previous != none_ ? p.previous : p.loaded;
	Magazine *full = older.get();
	if (full == none_)
		return false;
	Magazine *empty = depot.exchange_full(full);
	if (!empty) {
		older.set(none_);
		overflow = full;
		return false;
	}
	if (previous != none_)
		p.previous.set(loaded);
	p.loaded.set(empty);
	return true;
}

unsigned LcoreCache::put_run(Depot &depot, Bin bin, const uint64_t *addresses, unsigned n,
			     Magazine *&overflow)
{
	overflow = nullptr;
	if (!enter_cold())
		return 0;
	unsigned done = 0;
	if (Pair &p = pair(bin); p.loaded.get()->room() < n && p.previous.get()->room() >= n)
		swap(p);
	for (;;) {
		Magazine &m = *pair(bin).loaded.get();
		const unsigned held = m.count(), moved = std::min(m.room(), n - done);
		if (moved != 0) {
			std::memcpy(m.address + held, addresses + done, moved * sizeof(uint64_t));
			m.set_count(held + moved);
			done += moved;
		}
		if (done == n || !make_room(depot, bin, overflow))
			break;
	}
	leave();
	return done;
}

unsigned LcoreCache::room(Depot &depot, Bin bin)
{
	if (!enter_cold())
		return 0;
	Slot &loaded = pair(bin).loaded;
	if (loaded.get() == none_) {
		if (Magazine *fresh = depot.grant(bin))
			loaded.set(fresh);
	}
	const unsigned n = loaded.get()->room();
	leave();
	return n;
}

void LcoreCache::withdraw()
{
	for (unsigned bin = 0; bin < kBins; ++bin) {
		withdrawn_[bin].set(pairs_[bin].loaded.get());
		pairs_[bin].loaded.set(none_);
	}
}

void LcoreCache::detach_all(MagazineList &out)
{
	for (unsigned bin = 0; bin < kBins; ++bin) {
		for (Slot *slot : {&pairs_[bin].previous, &withdrawn_[bin]}) {
			if (slot->get() != none_)
				out.push(slot->get());
			slot->set(none_);
		}
	}
}

void LcoreCache::restore()
{
	for (unsigned bin = 0; bin < kBins; ++bin) {
		if (withdrawn_[bin].get() == none_)
			continue;
		pairs_[bin].loaded.release(withdrawn_[bin].get());
		withdrawn_[bin].set(none_);
	}
	// Pairs with enter_cold().
	revoked_.store(0, std::memory_order_release);
}

}  // namespace iovad::core
