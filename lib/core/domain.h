// SPDX-License-Identifier: BSD-3-Clause
// A domain: caches in front of the depot in front of the address space.
//
//   alloc, free          this lcore's cache -> depot -> address space (the tree)
//   alloc_range, ...     the address space
//
// DomainState lies in memory that processes share at one address: plain data, atomics
// and locks, pointers only into itself. Domain is one process's handle to it: which
// cache serves which of its lcores. Two processes that run lcores of the same number
// have caches of their own.
//
// The environment is passed in: memory by the creator, the lcore id by every caller.
// Threads without an lcore (kNoLcore) share one cache under a lock.
//
// Exhaustion. When the tree has no room, everything that caches hold goes back to it
// (reclaim()), and the request is tried again before it fails; see more_may_come().
// Caches of other lcores are revoked for that time, not stopped.
//
// Lock order: caches_lock, shared_lock, reclaim_lock, then one of: a shelf of the depot,
// its pool, the space. An lcore inside its cache takes locks of the depot only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "core/address_space.h"
#include "core/lcore_cache.h"
#include "core/process.h"
#include "core/views.h"

namespace iovad::core {

inline constexpr unsigned kMaxLcores = IOVAD_HOT_LCORES;

struct DomainConfig {
	Geometry geometry;
	uint64_t max_ranges;
	uint32_t caches;         // lcores of all processes that can have a cache
	uint32_t magazines;
	unsigned cache_percent;  // of each zone
	bool cached;
	uint32_t held_back = 0;  // ranges: see AddressSpace::hold_back()
};

struct DomainStats {
	uint64_t live_ranges, live_granules, cached_ranges, cached_granules;
	uint64_t reserved_granules, free_granules, largest_gap;
	uint64_t tree_nodes;
	uint64_t cache_hits, depot_hits, tree_allocs, tree_frees;
	uint64_t fail_nospace, fail_again, reclaims, bad_frees;
	uint64_t leaves_visited, searches;
	uint64_t grows, deferred_frees;  // see AddressSpace::Totals
	uint64_t trims, resizes;         // magazines trimmed; times that a bin's grew
};

struct DomainState {
	DomainConfig config;
	AddressSpace space;
	Depot depot;
	SpinLock caches_lock;   // owners of caches
	SpinLock shared_lock;   // the shared cache
	SpinLock reclaim_lock;  // one reclaimer at a time
	std::atomic<uint64_t> fail_nospace, fail_again, reclaims, trims, resizes;
	std::atomic<uint32_t> claimed;  // caches from this one on have never had an owner
	std::atomic<bool> half_done;  // somebody died, and magazines are nobody's: see Domain::bury_dead()
	Magazine none;
	LcoreCache shared;
	LcoreCache *caches;     // config.caches of them

	// Bytes that format() wants, aligned to 64.
	static size_t bytes(const DomainConfig &config);
	static DomainState *format(void *memory, const DomainConfig &config);
};

class Domain {
public:
	// process tells this process from others that share the state: this_process(), or any number in tests.
	Domain(DomainState *state, ProcessId process);
	// Gives back what this process's caches hold.
	~Domain();
	Domain(const Domain &) = delete;
	Domain &operator=(const Domain &) = delete;

	// The hot half of each operation: true, or nothing happened and the cold half, of
	// the same name without try_, has to do it. Apart, so that a caller can leave the
	// cold half to a tail call. lcore: below kMaxLcores, or kNoLcore. One granule, the common
	// length, has a hotter half before these, iovad_hot_alloc() and its like on hot(), which is
	// also inlined into programs.
	const iovad_hot_domain &hot() const { return hot_; }
	bool try_alloc(unsigned lcore, uint64_t len, uint64_t limit, uint64_t &iova) const
	{
		uint64_t klass;
		return find_class(len, klass) && alloc_of_class(lcore, klass, limit, iova);
	}
	bool try_free(unsigned lcore, uint64_t iova, uint64_t len) const
	{
		uint64_t klass;
		return find_class(len, klass) && free_of_class(lcore, klass, iova);
	}
	bool try_alloc_bulk(unsigned lcore, uint64_t len, uint64_t limit, uint64_t *iovas, unsigned n) const
	{
		uint64_t klass;
		const unsigned zone = limit >= hot_.border;
		if (!find_class(len, klass) || limit < hot_.zone_last[zone]) [[unlikely]]
			return false;
		return cache_of(lcore)->get_bulk(Bin::at(klass, zone), iovas, n);
	}

	bool try_free_bulk(unsigned lcore, const uint64_t *iovas, uint64_t len, unsigned n) const
	{
		uint64_t klass;
		if (!find_class(len, klass) || n == 0) [[unlikely]]
			return false;
		const Bin bin = Bin::at(klass, iovas[0] >= hot_.border);
		const uint64_t mask = blocks_[bin.klass()].mask, first = hot_.zone_first[bin.zone()];
		const uint64_t last = hot_.zone_last[bin.zone()] - mask;
		LcoreCache &cache = *cache_of(lcore);
		const auto is_block = [=](uint64_t iova) { return (iova & mask) == 0 && iova - first <= last - first; };
		return cache.put_bulk(bin, iovas, n, mask, first, last) ||
		       (std::all_of(iovas, iovas + n, is_block) && cache.put_bulk(bin, iovas, n, 0, 0, ~uint64_t{0}));
	}

	// Bytes. See iovad.h for what each does.
	Status alloc(unsigned lcore, uint64_t len, uint64_t limit, uint64_t &iova)
	{
		return iovad_hot_alloc(&hot_, lcore, len, limit, &iova) || try_alloc(lcore, len, limit, iova)
			       ? Status::ok
			       : alloc_bulk(lcore, len, limit, &iova, 1);
	}
	Status free(unsigned lcore, uint64_t iova, uint64_t len)
	{
		return iovad_hot_free(&hot_, lcore, iova, len) || try_free(lcore, iova, len)
			       ? Status::ok
			       : free_bulk(lcore, &iova, len, 1);
	}
	Status alloc_bulk(unsigned lcore, uint64_t len, uint64_t limit, uint64_t *iovas, unsigned n);
	Status free_bulk(unsigned lcore, const uint64_t *iovas, uint64_t len, unsigned n);
	// invalid: not all can have come from alloc(); free_bulk() frees none then.
	Status check_blocks(const uint64_t *iovas, uint64_t len, unsigned n) const;
	// Of what free() takes, what no cache is to have: it lies between what is in use, and comes back
	// with its neighbours.
	Status free_to_tree(const uint64_t *iovas, uint64_t len, unsigned n);
	Status alloc_range(uint64_t len, uint64_t align, uint64_t limit, uint64_t &iova);
	// What is at hand, in this lcore's cache, the depot or the tree: never a reclaim, and no system call.
	// Refused, caches of others may still hold something; it is no failure, and not counted as one.
	Status alloc_at_hand(unsigned lcore, uint64_t len, uint64_t limit, uint64_t &iova);
	Status alloc_range_at_hand(uint64_t len, uint64_t align, uint64_t limit, uint64_t &iova);
	Status free_range(uint64_t iova, uint64_t len);
	Status reserve(uint64_t iova, uint64_t len);
	Status unreserve(uint64_t iova, uint64_t len);
	Extent find(uint64_t iova) const;  // value 0: free, or outside

	// This lcore goes away, or its thread ends: what its cache holds goes back.
	void release_lcore(unsigned lcore);
	// What all caches and the depot hold goes back to the tree.
	struct Reclaimed {
		uint64_t addresses;
		bool complete;  // no lcore was off the CPU inside its cache
	};
	Reclaimed reclaim();

	// For a control lcore, beside all others. See AddressSpace.
	size_t nodes_wanted() { return state_->space.nodes_wanted(); }
	bool add_nodes(void *memory, size_t bytes) { return state_->space.add_nodes(memory, bytes); }
	void settle() { state_->space.settle(); }
	// Every now and then; then trim() until it finds less than it may take. A call empties
	// at most so many magazines into the tree, or none while a reclaim goes on.
	void end_period();
	struct Trimmed {
		unsigned magazines;
		uint64_t addresses;
	};
	Trimmed trim(unsigned most);

	// Of processes that died: what their caches held, and magazines that they had in hand, go back to the tree.
	// What they had been handed out, and at most one run of addresses in hand, stays live. Waits for lcores as
	// reclaim() does; where one does not leave its cache, nothing is done and the next call tries again.
	struct Buried {
		unsigned caches;
		uint64_t addresses;
	};
	Buried bury_dead();
	// Another process attaches.
	void share() { state_->space.share(); }

	bool verify(FILE *why);
	// Whether a cache or the depot holds it. Keeps lcores out of their caches for a moment; what they were about to
	// take or to put may be missed.
	bool is_cached(uint64_t iova);
	DomainStats stats() const;
	// Of all processes: each cache that serves an lcore, then the shared one.
	template <class Visit> void for_each_cache_view(Visit visit) const
	{
		for_each_cache([&](const LcoreCache &cache) {
			if (cache.owned() || &cache == &state_->shared)
				visit(view_of(cache));
		});
	}
	Depot::View depot_view(Bin bin) const { return state_->depot.view(bin); }
	// The domain in n equal slices.
	void occupancy(Occupancy *slices, unsigned n) const;
	const Geometry &geometry() const { return state_->config.geometry; }
	AddressSpace &space() const { return state_->space; }

	// The queue of what this lcore unmaps lazily; null: it has none, all goes to the cold path.
	void set_retired(unsigned lcore, iovad_hot_retire_queue *queue);

private:
	// The blocks of a class: where their first byte may lie, counted from hot_.zone_first[0].
	// A class that does not fit into the domain has a mask that nothing satisfies.
	struct alignas(Bin::kClassBytes) Blocks {
		uint64_t mask;  // bytes of a block, less one
		uint64_t span;
	};
	const Blocks &blocks_at(uint64_t class_offset) const
	{
		return *reinterpret_cast<const Blocks *>(reinterpret_cast<const std::byte *>(blocks_) +
							 class_offset);
	}

	LcoreCache *cache_of(unsigned lcore) const { return LcoreCache::of(iovad_hot_cache_of(&hot_, lcore)); }
	void set_cache_of(unsigned lcore, LcoreCache &cache)
	{
		store_relaxed(hot_.cache[lcore + 1], cache.hot());
	}
	// klass: as an offset, see Bin. Zones by branches: the requests of one lcore mostly have
	// one limit, and get addresses of one zone.
	[[gnu::always_inline]] bool alloc_of_class(unsigned lcore, uint64_t klass, uint64_t limit,
						   uint64_t &iova) const
	{
		if (limit >= hot_.zone_last[1]) [[likely]]
			return cache_of(lcore)->get(Bin::at(klass, 1), iova);
		if (limit == hot_.zone_last[0])
			return cache_of(lcore)->get(Bin::at(klass, 0), iova);
		return limit >= hot_.border && get_below(*cache_of(lcore), Bin::at(klass, 1), limit, iova);
	}
	[[gnu::always_inline]] bool free_of_class(unsigned lcore, uint64_t klass, uint64_t iova) const
	{
		const Blocks &blocks = blocks_at(klass);
		if ((iova & blocks.mask) != 0 || iova - hot_.zone_first[0] > blocks.span) [[unlikely]]
			return false;
		if (iova >= hot_.border) [[likely]]
			return cache_of(lcore)->put(Bin::at(klass, 1), iova);
		return cache_of(lcore)->put(Bin::at(klass, 0), iova);
	}
	// The limit cuts the zone: what lies on top may be taken if it is below.
	bool get_below(LcoreCache &cache, Bin bin, uint64_t limit, uint64_t &iova) const
	{
		const uint64_t mask = blocks_[bin.klass()].mask;
		return cache.get_if(bin, iova, [=](uint64_t top) { return top + mask <= limit; });
	}
	// The class of a length that goes to caches, as an offset: see Bin. A length that is no
	// multiple of the granule comes out of the rotation huge, as 0 does when it is less one.
	bool find_class(uint64_t len, uint64_t &klass) const
	{
		const uint64_t index = std::rotr(len, static_cast<int>(hot_.shift)) - 1;
		if (index >= cached_granules_) [[unlikely]]
			return false;
		klass = class_offset_[index];
		return true;
	}

	struct Request;
	enum class Effort { at_hand, reclaim };
	Status check(uint64_t len, uint64_t limit, Request &r) const;
	Status check_range(uint64_t len, uint64_t align, uint64_t limit, Request &r) const;
	Status alloc_some(unsigned lcore, uint64_t len, uint64_t limit, Effort effort, uint64_t *iovas, unsigned n);
	Status alloc_cached(LcoreCache &cache, const Request &r, Effort effort, uint64_t *iovas, unsigned n);
	unsigned ahead_of(LcoreCache &cache, const Request &r, unsigned want) const;
	void keep(LcoreCache &cache, Bin bin, const Pfn *run, unsigned n);
	Status alloc_from_tree(LcoreCache *cache, const Request &r, Effort effort, uint64_t *iovas, unsigned n);
	Status free_cached(LcoreCache &cache, unsigned klass, const uint64_t *iovas, unsigned n);
	Status put_into_tree(uint64_t granules, Value value, const uint64_t *iovas, unsigned n);
	Status failed(Status status);
	template <class Use> Status with_cache(unsigned lcore, Use use);
	LcoreCache *claim_cache(unsigned lcore);
	class InFlight;
	bool more_may_come(uint64_t frees_before, unsigned &round);
	bool in_flight() const;
	bool await_landing() const;
	class ReclaimGuard;
	static ProcessId process_of(const LcoreCache &cache) { return cache.owner() >> LcoreCache::kLcoreBits; }
	bool is_dead(const LcoreCache &cache) const;
	bool anybody_died() const;
	void collect_from_dead(std::vector<LcoreCache *> &dead, MagazineList &orphans);
	enum class Patience { milliseconds, seconds };
	asymmetric_fence::Reach reach_of(const LcoreCache &cache) const;
	bool quiesce(const LcoreCache &cache, Patience patience) const;
	template <class Choose, class Use, class Finish>
	void with_revoked(Patience patience, Choose choose, Use use, Finish finish);
	void empty_magazine(Magazine &m);
	template <class Visit> void for_each_cache(Visit visit) const
	{
		for (uint32_t i = 0; i < state_->config.caches; ++i)
			visit(state_->caches[i]);
		visit(state_->shared);
	}
	static CacheView view_of(const LcoreCache &cache);

	// Read by the hot paths. Written again only where an lcore gets or loses its cache or retire queue.
	iovad_hot_domain hot_;        // first, see iovad.h
	uint64_t cached_granules_;    // longest request that goes to caches; 0: none does
	uint16_t class_offset_[kCachedGranules];  // by granules - 1: see Bin
	Blocks blocks_[kClasses];

	DomainState *state_;
	ProcessId process_;
	LcoreCache absent_;  // of lcores that have none
};

// What programs were compiled with, and why it lies so: see iovad_hot.h. Another layout is
// another IOVAD_HOT_LAYOUT.
static_assert(IOVAD_HOT_LAYOUT == 3);
static_assert(offsetof(iovad_hot_magazine, capacity) == 8 && offsetof(iovad_hot_magazine, address) == 16);
static_assert(offsetof(iovad_hot_cache, pair) == 32);
static_assert(offsetof(iovad_hot_pair, taken) == 0 && offsetof(iovad_hot_pair, loaded) == 8 &&
	      offsetof(iovad_hot_pair, put) == 16 && sizeof(iovad_hot_pair) == 32);
static_assert(offsetof(iovad_hot_domain, zone_first) == 0 && offsetof(iovad_hot_domain, zone_last) == 16 &&
	      offsetof(iovad_hot_domain, common_len) == 40 &&
	      offsetof(iovad_hot_domain, common_span) == 56 && offsetof(iovad_hot_domain, cache) == 64 &&
	      offsetof(iovad_hot_domain, retired) == 2120);
static_assert(offsetof(iovad_hot_retire_queue, put) == 0 &&
	      offsetof(iovad_hot_retire_queue, limit) == 8 && offsetof(iovad_hot_retire_queue, granules) == 16 &&
	      offsetof(iovad_hot_retire_queue, entry) == 64);
static_assert(alignof(Domain) == 64 && alignof(LcoreCache) == 64 && alignof(Magazine) == 64);

}  // namespace iovad::core
