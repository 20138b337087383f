// SPDX-License-Identifier: BSD-3-Clause
// What is done to all caches of a domain at once: reclaim, trimming, an lcore that leaves, processes that
// died.
#include <algorithm>
#include <ctime>
#include <vector>

#include "core/domain_revoking.h"

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
	return cache.await_owner([&](unsigned round) {
		if (round == rounds || (round % kLookAlive == kLookAlive - 1 && is_dead(cache)))
			return false;
		wait_a_little(round);
		return true;
	});
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

// Whose it is: caches of other processes need a fence that reaches those.
asymmetric_fence::Reach Domain::reach_of(const LcoreCache &cache) const
{
	const bool ours = !cache.owned() || process_of(cache) == process_;
	return ours ? asymmetric_fence::Reach::this_process : asymmetric_fence::Reach::all_processes;
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
				     cache.for_each([&](const Magazine &m, unsigned) { kept.push_back(&m); });
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

}  // namespace iovad::core
