// SPDX-License-Identifier: BSD-3-Clause
// What concerns all caches of a domain at once: reclaim, an lcore that leaves, counting,
// checking.
#include <algorithm>
#include <cinttypes>
#include <ctime>
#include <vector>

#include "core/domain.h"

namespace iovad::core {

namespace {

// To wait for another thread: it needs some nanoseconds, or its CPU back.
void wait_a_little(unsigned round)
{
	constexpr unsigned kSpins = 2000, kYields = 100;
	constexpr timespec kNap = {0, 100'000};
	if (round < kSpins)
		cpu_relax();
	else if (round < kSpins + kYields)
		sched_yield();
	else
		nanosleep(&kNap, nullptr);
}

}  // namespace

// Wait until the owner is outside. The wait is bounded: the owner may be dead, or off
// the CPU for long.
bool Domain::quiesce(const LcoreCache &cache, Patience patience) const
{
	constexpr unsigned kLookAlive = 128;
	const unsigned rounds = patience == Patience::milliseconds ? 2300 : 40000;
	for (unsigned round = 0; cache.busy(); ++round) {
		if (round == rounds || (round % kLookAlive == kLookAlive - 1 && is_dead(cache)))
			return false;
		wait_a_little(round);
	}
	return true;
}

// The tree refused a request; `frees_before` had come back to it then. Whether to ask
// again: after reclaiming what caches hold, and as long as that, or somebody else, gives
// it anything, or addresses are in flight. Bounded, since others may take all that comes;
// a round that waited in vain for an lcore, perhaps a dead one, counts for many.
bool Domain::more_may_come(uint64_t frees_before, unsigned &round)
{
	constexpr unsigned kRounds = 64, kIncomplete = 16;
	if (round >= kRounds)
		return false;
	++round;
	if (state_->config.held_back != 0 && state_->space.release_held_back())
		return true;
	// Before the reclaim: what lands during it may be in a cache that was emptied already.
	bool flying = in_flight();
	if (state_->depot.granted() != 0) {
		const Reclaimed r = reclaim();
		round += r.complete ? 0 : kIncomplete;
		if (r.complete)
			state_->depot.reset_capacities();
		if (r.addresses != 0 || !r.complete)
			return true;
	}
	flying |= in_flight();
	await_landing();
	return flying || state_->space.frees() != frees_before;
}

bool Domain::in_flight() const
{
	const LcoreCache *const end = state_->caches + state_->claimed.load(std::memory_order_relaxed);
	return state_->shared.flying() || std::any_of<const LcoreCache *>(state_->caches, end, [](const LcoreCache &c) { return c.flying(); });
}

// False: something is still in flight.
bool Domain::await_landing() const
{
	for (unsigned i = 0; in_flight(); ++i) {
		if (i == 2200)
			return false;
		wait_a_little(i);
	}
	return true;
}

bool Domain::is_dead(const LcoreCache &cache) const
{
	if (&cache == &state_->shared)
		return state_->shared_lock.abandoned();
	return cache.owned() && process_of(cache) != process_ && is_gone(process_of(cache));
}

// Who reclaims, one at a time. Where one died at it, its caches serve their owners again.
class Domain::ReclaimGuard {
public:
	explicit ReclaimGuard(Domain &domain) : guard_(domain.state_->reclaim_lock)
	{
		DomainState &state = *domain.state_;
		if (!state.reclaim_lock.inherited()) [[likely]]
			return;
		state.half_done.store(true, std::memory_order_relaxed);
		domain.for_each_cache([](LcoreCache &cache) {
			if (cache.revoked())
				cache.restore();
		});
		state.reclaim_lock.set_sound();
	}

private:
	LockGuard guard_;
};

// Whose it is: caches of other processes need a fence that reaches those.
asymmetric_fence::Reach Domain::reach_of(const LcoreCache &cache) const
{
	const bool ours = !cache.owned() || process_of(cache) == process_;
	return ours ? asymmetric_fence::Reach::this_process : asymmetric_fence::Reach::all_processes;
}

// With reclaim_lock held: use(cache, quiet) on each chosen cache while its owner is kept
// out, then finish() while all of them still are. Not quiet: the owner could not be kept
// out, and nothing may be changed.
template <class Choose, class Use, class Finish>
void Domain::with_revoked(Patience patience, Choose choose, Use use, Finish finish)
{
	using asymmetric_fence::Reach;
	// Also where use() or finish() throws, for lack of memory.
	struct Restored {
		~Restored()
		{
			domain.for_each_cache([](LcoreCache &cache) {
				if (cache.revoked())
					cache.restore();
			});
		}
		Domain &domain;
	};
	bool any = false;
	Reach reach = Reach::this_process;
	// Without caches they hold nothing, and there may be no fence either.
	for_each_cache([&](LcoreCache &cache) {
		if (state_->config.cached && choose(cache)) {
			cache.revoke();
			any = true;
			reach = std::max(reach, reach_of(cache));
		}
	});
	if (!any) {
		finish();
		return;
	}
	const Restored restored{*this};
	// Where others cannot be reached, our own can.
	const auto fence = [&] {
		if (reach == Reach::all_processes && !asymmetric_fence::heavy(reach))
			reach = Reach::this_process;
		return asymmetric_fence::heavy(Reach::this_process);
	};
	bool fenced = fence();
	for_each_cache([&](LcoreCache &cache) {
		if (!cache.revoked())
			return;
		if (fenced && reach_of(cache) <= reach && quiesce(cache, patience)) {
			cache.withdraw();
		} else {
			use(cache, false);
			cache.restore();
		}
	});
	fenced = fenced && fence();
	for_each_cache([&](LcoreCache &cache) {
		if (!cache.revoked())
			return;
		use(cache, fenced && reach_of(cache) <= reach && quiesce(cache, patience));
	});
	finish();
}

// Taken out before it is freed: where this process dies between the two, addresses are lost, and not
// freed twice.
void Domain::empty_magazine(Magazine &m)
{
	while (!m.empty()) {
		uint64_t run[AddressSpace::kFreeRun];
		const unsigned n = std::min(m.count(), AddressSpace::kFreeRun), left = m.count() - n;
		std::copy_n(m.address + left, n, run);
		m.set_count(left);
		std::atomic_signal_fence(std::memory_order_seq_cst);
		put_into_tree(m.bin().granules(), kBlock, run, n);
	}
	state_->depot.put_back(&m);
}

Domain::Reclaimed Domain::reclaim()
{
	const ReclaimGuard guard(*this);
	MagazineList all;
	bool complete = true;
	// All caches, whatever they hold at the moment, and the depot while they are revoked: an
	// address must not slip from one not looked at yet to one that was, nor into one that is
	// claimed just now.
	with_revoked(Patience::milliseconds, [](const LcoreCache &) { return true; },
		     [&](LcoreCache &cache, bool quiet) {
			     if (quiet)
				     cache.detach_all(all);
			     complete &= quiet || is_dead(cache);
		     },
		     [&] { state_->depot.take_all(all); });
	uint64_t moved = 0;
	while (Magazine *m = all.pop()) {
		moved += m->count();
		empty_magazine(*m);
	}
	state_->reclaims.fetch_add(1, std::memory_order_relaxed);
	return {moved, complete};
}

void Domain::release_lcore(unsigned lcore)
{
	LcoreCache *cache = cache_of(lcore);
	if (cache == &absent_)
		return;
	{
		// A reclaimer must not miss what is on its way to the tree.
		const ReclaimGuard guard(*this);
		MagazineList all;
		bool released = false;
		with_revoked(Patience::seconds, [&](const LcoreCache &c) { return &c == cache; },
			     [&](LcoreCache &c, bool quiet) {
				     if (quiet)
					     c.detach_all(all);
				     released = quiet;
			     },
			     [] {});
		if (!released)
			return;
		set_cache_of(lcore, absent_);
		while (Magazine *m = all.pop())
			empty_magazine(*m);
	}
	LockGuard guard(state_->caches_lock);
	cache->set_owner(0);
}

bool Domain::anybody_died() const
{
	// Who reclaims need have no cache.
	bool any = state_->half_done.load(std::memory_order_relaxed) || state_->depot.inherited() || is_dead(state_->shared) ||
		   state_->reclaim_lock.abandoned();
	ProcessId alive = process_;
	for_each_cache([&](const LcoreCache &cache) {
		if (any || !cache.owned() || process_of(cache) == alive)
			return;
		any = is_dead(cache);
		alive = process_of(cache);
	});
	return any;
}

// A cache that was left in the midst of something, and lists that were, are not to be trusted: they may name a
// magazine that is elsewhere. So what the living hold is collected, and all other magazines come back.
// Their own addresses are always theirs.
Domain::Buried Domain::bury_dead()
{
	Buried buried = {};
	if (!anybody_died())
		return buried;
	std::vector<LcoreCache *> dead;
	MagazineList orphans;
	{
		const ReclaimGuard guard(*this);
		state_->half_done.store(true, std::memory_order_relaxed);
		collect_from_dead(dead, orphans);
		while (Magazine *m = orphans.pop()) {
			buried.addresses += m->count();
			empty_magazine(*m);
		}
	}
	// Not before: who claims one may use the depot.
	const LockGuard guard(state_->caches_lock);
	for (LcoreCache *cache : dead)
		cache->set_owner(0);
	buried.caches = static_cast<unsigned>(dead.size());
	return buried;
}

void Domain::collect_from_dead(std::vector<LcoreCache *> &dead, MagazineList &orphans)
{
	std::vector<const Magazine *> kept;
	const auto is_kept = [&](const Magazine &m) { return std::binary_search(kept.begin(), kept.end(), &m); };
	bool complete = true;
	// The control lcore has other things to do, and comes again.
	with_revoked(Patience::milliseconds, [](const LcoreCache &) { return true; },
		     [&](LcoreCache &cache, bool quiet) {
			     if (is_dead(cache)) {
				     cache.abandon();
				     dead.push_back(&cache);
			     } else if (quiet) {
				     cache.for_each([&](const Magazine &m) { kept.push_back(&m); });
			     } else {
				     complete = false;
			     }
		     },
		     [&] {
			     if (!complete || !await_landing())
				     return;
			     std::sort(kept.begin(), kept.end());
			     state_->depot.rebuild(is_kept, orphans);
			     state_->half_done.store(false, std::memory_order_relaxed);
		     });
}

void Domain::end_period()
{
	state_->resizes.fetch_add(state_->depot.end_period(), std::memory_order_relaxed);
}

// A reclaimer must not miss what is on its way from the depot to the tree, so this is one;
// but it does not wait for another, who may wait long for an lcore.
Domain::Trimmed Domain::trim(unsigned most)
{
	Trimmed t = {};
	if (!state_->reclaim_lock.try_lock())
		return t;
	for (unsigned bin = 0; bin < kBins && t.magazines < most;) {
		Magazine *m = state_->depot.take_surplus(Bin::numbered(bin));
		if (!m) {
			++bin;
			continue;
		}
		++t.magazines;
		t.addresses += m->count();
		empty_magazine(*m);
	}
	state_->reclaim_lock.unlock();
	state_->trims.fetch_add(t.magazines, std::memory_order_relaxed);
	return t;
}

DomainStats Domain::stats() const
{
	const AddressSpace::Totals t = state_->space.totals();
	DomainStats s = {};
	const auto add = [&](const Magazine &m) {
		s.cached_ranges += m.count();
		s.cached_granules += m.count() * m.bin().granules();
	};
	for_each_cache([&](const LcoreCache &cache) {
		s.cache_hits += cache.hits();
		s.depot_hits += cache.depot_hits();
		cache.for_each(add);
	});
	state_->depot.for_each_full(add);
	// While lcores move addresses a sum may be off by those in flight.
	s.live_ranges = t.live_ranges - std::min(t.live_ranges, s.cached_ranges);
	s.live_granules = t.live_granules - std::min(t.live_granules, s.cached_granules);
	s.reserved_granules = t.reserved_granules;
	s.free_granules = t.free_granules;
	s.largest_gap = t.largest_gap;
	s.tree_nodes = t.nodes;
	s.tree_allocs = t.allocs;
	s.tree_frees = t.frees;
	s.bad_frees = t.bad_frees;
	s.leaves_visited = t.leaves_visited;
	s.searches = t.searches;
	s.grows = t.grows;
	s.deferred_frees = t.deferred_frees;
	s.fail_nospace = state_->fail_nospace.load(std::memory_order_relaxed);
	s.fail_again = state_->fail_again.load(std::memory_order_relaxed);
	s.reclaims = state_->reclaims.load(std::memory_order_relaxed);
	s.trims = state_->trims.load(std::memory_order_relaxed);
	s.resizes = state_->resizes.load(std::memory_order_relaxed);
	return s;
}

bool Domain::is_cached(uint64_t iova)
{
	bool found = false;
	const auto look = [&](const Magazine &m) {
		found |= std::find(m.address, m.address + m.count(), iova) != m.address + m.count();
	};
	LockGuard guard(state_->reclaim_lock);
	with_revoked(Patience::milliseconds, [](const LcoreCache &) { return true; },
		     [&](LcoreCache &cache, bool quiet) {
			     if (quiet)
				     cache.for_each(look);
		     },
		     [&] { state_->depot.for_each_full(look); });
	return found;
}

// Beyond the tree: every cached address is a live range of its class in the tree, no
// address is cached twice, and what caches may hold stays within their share.
bool Domain::verify(FILE *why)
{
	struct Cached {
		Pfn start;
		uint64_t granules;
	};
	std::vector<Cached> cached;
	bool good = true;
	const auto fail = [&](const char *what, Pfn pfn) {
		good = false;
		if (why)
			std::fprintf(why, "caches: %s at %" PRIx64 "\n", what, geometry().bytes(pfn));
	};
	const auto collect = [&](const Magazine &m) {
		if (m.count() > m.capacity)
			fail("magazine over its capacity", 0);
		for (unsigned i = 0; i < m.count(); ++i) {
			cached.push_back({geometry().pfn(m.address[i]), m.bin().granules()});
			if (geometry().zone_of(m.address[i]) != m.bin().zone())
				fail("address in the wrong zone", geometry().pfn(m.address[i]));
		}
	};
	const auto check_tree = [&] {
		state_->depot.for_each_full(collect);
		const AddressSpace::Guard space(state_->space);
		good &= state_->space.verify_locked(why);
		for (const Cached &c : cached) {
			if (state_->space.find_locked(c.start) != Extent{c.start, c.start + c.granules, kBlock})
				fail("cached address is not a block in the tree", c.start);
		}
	};
	{
		const ReclaimGuard guard(*this);
		with_revoked(Patience::seconds, [](const LcoreCache &) { return true; },
			     [&](LcoreCache &cache, bool quiet) {
				     if (quiet)
					     cache.for_each(collect);
				     else if (!is_dead(cache))
					     fail("an lcore stays inside its cache", 0);
			     },
			     check_tree);
	}
	std::sort(cached.begin(), cached.end(),
		  [](const Cached &a, const Cached &b) { return a.start < b.start; });
	for (size_t i = 1; i < cached.size(); ++i) {
		if (cached[i].start == cached[i - 1].start)
			fail("address cached twice", cached[i].start);
	}
	for (unsigned zone = 0; zone < kZones; ++zone) {
		const Depot::Charge charge = state_->depot.charge(zone);
		if (charge.used > charge.most)
			fail("caches exceed their share of zone", zone);
	}
	return good;
}

}  // namespace iovad::core
