// SPDX-License-Identifier: BSD-3-Clause
#include "core/lcore_cache.h"

#include <algorithm>

namespace iovad::core {

void LcoreCache::init(Magazine *none)
{
	busy_ = revoked_ = held_ = 0;
	hits_ = depot_hits_ = 0;
	none_ = none;
	owner = 0;
	for (Pair &p : pairs_)
		p = {none, none};
}

// The loaded magazine is empty: put a full one in its place.
bool LcoreCache::refill(Depot &depot, Bin bin)
{
	Pair &p = pair(bin);
	if (!p.previous->empty()) {
		std::swap(p.loaded, p.previous);
		return true;
	}
	const bool had_one = p.loaded != none_;
	Magazine *full = depot.exchange_empty(bin, had_one ? p.loaded : nullptr);
	if (!full)
		return false;
	p.loaded = full;
	hold(had_one ? 0 : 1);
	count(depot_hits_, 1);
	return true;
}

unsigned LcoreCache::get_run(Depot &depot, Bin bin, uint64_t *addresses, unsigned n)
{
	if (!enter())
		return 0;
	unsigned done = 0;
	uint64_t fetched = 0;
	for (;;) {
		Magazine &m = *pair(bin).loaded;
		const unsigned left = m.count();
		const unsigned moved = std::min(left, n - done);
		std::memcpy(addresses + done, m.address + (left - moved), moved * sizeof(uint64_t));
		m.set_count(left - moved);
		done += moved;
		if (done == n)
			break;
		const uint64_t before = depot_hits();
		if (!refill(depot, bin))
			break;
		fetched += depot_hits() - before;
	}
	// An allocation that made the depot hand out a magazine is the depot's hit.
	count(hits_, done - std::min<uint64_t>(done, fetched));
	leave();
	return done;
}

// The loaded magazine has no room: put an empty one in its place.
bool LcoreCache::make_room(Depot &depot, Bin bin, Magazine *&overflow)
{
	Pair &p = pair(bin);
	if (p.previous != none_ && p.previous->empty()) {
		std::swap(p.loaded, p.previous);
		return true;
	}
	if (p.previous == none_) {
		Magazine *fresh = depot.grant(bin);
		if (fresh) {
			p.previous = p.loaded;
			p.loaded = fresh;
			hold(1);
			return true;
		}
		if (p.loaded == none_)
			return false;
		// One magazine is all it gets: exchange that one.
		Magazine *empty = depot.exchange_full(p.loaded);
		if (empty) {
			p.loaded = empty;
			return true;
		}
		overflow = p.loaded;
		p.loaded = none_;
		hold(-1);
		return false;
	}
	Magazine *empty = depot.exchange_full(p.previous);
	if (empty) {
		p.previous = p.loaded;
		p.loaded = empty;
		return true;
	}
	overflow = p.previous;
	p.previous = none_;
	hold(-1);
	return false;
}

unsigned LcoreCache::put_run(Depot &depot, Bin bin, const uint64_t *addresses, unsigned n,
			     Magazine *&overflow)
{
	overflow = nullptr;
	if (!enter())
		return 0;
	unsigned done = 0;
	for (;;) {
		Magazine &m = *pair(bin).loaded;
		const unsigned held = m.count();
		const unsigned moved = std::min(m.capacity - held, n - done);
		std::memcpy(m.address + held, addresses + done, moved * sizeof(uint64_t));
		if (moved != 0)
			m.set_count(held + moved);
		done += moved;
		if (done == n || !make_room(depot, bin, overflow))
			break;
	}
	leave();
	return done;
}

unsigned LcoreCache::room(Depot &depot, Bin bin)
{
	if (!enter())
		return 0;
	Pair &p = pair(bin);
	if (p.loaded == none_) {
		if (Magazine *fresh = depot.grant(bin)) {
			p.loaded = fresh;
			hold(1);
		}
	}
	const unsigned n = p.loaded->capacity - p.loaded->count();
	leave();
	return n;
}

void LcoreCache::detach_all(MagazineList &out)
{
	for (Pair &p : pairs_) {
		for (Magazine *m : {p.loaded, p.previous}) {
			if (m != none_)
				out.push(m);
		}
		p = {none_, none_};
	}
	held_.store(0, std::memory_order_relaxed);
}

}  // namespace iovad::core
