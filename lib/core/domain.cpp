// SPDX-License-Identifier: BSD-3-Clause
// The cold side of taking and giving back: what the hot paths in domain.h hand over.
#include "core/domain.h"

#include <algorithm>

namespace iovad::core {

namespace {

// The queue of lcores that have none: its limit is 0, so that nothing but that is ever touched.
iovad_hot_retire_queue closed;

}  // namespace

// Addresses that are neither in the tree nor in a magazine that a reclaimer can find.
// A request that the tree refuses waits for them to land.
class Domain::InFlight {
public:
	// Of this cache, whose owner the caller is, or of none.
	explicit InFlight(LcoreCache *cache) : cache_(cache)
	{
		if (cache_)
			cache_->take_off();
	}
	~InFlight() { land(); }
	InFlight(const InFlight &) = delete;
	InFlight &operator=(const InFlight &) = delete;

	void land()
	{
		if (cache_)
			cache_->land();
		cache_ = nullptr;
	}

private:
	LcoreCache *cache_;
};

struct Domain::Request {
	uint64_t granules;  // occupied
	uint64_t align;
	uint64_t limit;     // bytes, inside the domain
	Pfn limit_pfn;
	Value value;
	Bin bin;
	bool cached;
};

Domain::Domain(DomainState *state, ProcessId process) : state_(state), process_(process)
{
	static_assert(kMaxLcores >> LcoreCache::kLcoreBits == 0 && kProcessBits + LcoreCache::kLcoreBits <= 64);
	SpinLock::introduce();
	const Geometry &g = state->config.geometry;
	hot_.shift = g.shift;
	hot_.border = g.zone_border();
	// Of no consequence where there is no low zone: nothing lies below a border of 0.
	hot_.zone_first[0] = g.first_byte();
	hot_.zone_last[0] = hot_.border - 1;
	hot_.zone_first[1] = std::max(hot_.border, g.first_byte());
	hot_.zone_last[1] = g.last_byte();
	cached_granules_ = state->config.cached ? kCachedGranules : 0;
	hot_.common_len = state->config.cached ? g.granule : 0;
	hot_.common_span = g.last_byte() - hot_.zone_first[1] - (g.granule - 1);
	for (uint64_t i = 0; i < kCachedGranules; ++i)
		class_offset_[i] = static_cast<uint16_t>(class_of(i + 1) * Bin::kClassBytes);
	for (unsigned klass = 0; klass < kClasses; ++klass) {
		const uint64_t mask = g.bytes(uint64_t{1} << klass) - 1;
		const uint64_t span = g.last_byte() - g.first_byte();
		blocks_[klass] = span >= mask ? Blocks{mask, span - mask} : Blocks{~uint64_t{0}, 0};
	}
	absent_.init(&state->none);
	std::fill(std::begin(hot_.cache), std::end(hot_.cache), absent_.hot());
	std::fill(std::begin(hot_.retired), std::end(hot_.retired), &closed);
}

void Domain::set_retired(unsigned lcore, iovad_hot_retire_queue *queue)
{
	store_relaxed(hot_.retired[lcore + 1], queue ? queue : &closed);
}

Domain::~Domain()
{
	for (unsigned lcore = 0; lcore < kMaxLcores; ++lcore)
		release_lcore(lcore);
}

Status Domain::check(uint64_t len, uint64_t limit, Request &r) const
{
	const Geometry &g = geometry();
	const uint64_t granules = len >> hot_.shift;
	if (len == 0 || !g.whole(len) || granules > g.end - g.first || limit < g.first_byte())
		return Status::invalid;
	r.granules = block_of(granules);
	r.align = std::bit_ceil(granules);
	r.limit = std::min(limit, g.last_byte());
	r.limit_pfn = g.limit_pfn(r.limit);
	r.cached = granules <= cached_granules_;
	r.value = r.cached ? kBlock : kLive;
	if (r.cached)
		r.bin = Bin::of(class_of(granules), limit >= hot_.border);
	return Status::ok;
}

Status Domain::failed(Status status)
{
	if (status == Status::no_space)
		state_->fail_nospace.fetch_add(1, std::memory_order_relaxed);
	if (status == Status::again)
		state_->fail_again.fetch_add(1, std::memory_order_relaxed);
	return status;
}

// The cache of this lcore, given to it now if it had none; else the shared one, locked.
template <class Use> Status Domain::with_cache(unsigned lcore, Use use)
{
	if (lcore != kNoLcore) {
		LcoreCache *cache = cache_of(lcore);
		if (cache == &absent_)
			cache = claim_cache(lcore);
		if (cache != &absent_)
			return use(*cache);
	}
	LockGuard guard(state_->shared_lock);
	if (state_->shared_lock.inherited()) [[unlikely]] {
		state_->half_done.store(true, std::memory_order_relaxed);
		state_->shared.abandon();
		state_->shared_lock.set_sound();
	}
	return use(state_->shared);
}

LcoreCache *Domain::claim_cache(unsigned lcore)
{
	LockGuard guard(state_->caches_lock);
	for (uint32_t i = 0; i < state_->config.caches; ++i) {
		LcoreCache &cache = state_->caches[i];
		if (cache.owned())
			continue;
		state_->claimed.store(std::max(state_->claimed.load(std::memory_order_relaxed), i + 1), std::memory_order_relaxed);
		cache.set_owner(process_ << LcoreCache::kLcoreBits | (lcore + 1));
		set_cache_of(lcore, cache);
		return &cache;
	}
	return &absent_;
}

// ---- taking ----

Status Domain::alloc_bulk(unsigned lcore, uint64_t len, uint64_t limit, uint64_t *iovas, unsigned n)
{
	return failed(alloc_some(lcore, len, limit, Effort::reclaim, iovas, n));
}

Status Domain::alloc_at_hand(unsigned lcore, uint64_t len, uint64_t limit, uint64_t &iova)
{
	return try_alloc(lcore, len, limit, iova) ? Status::ok : alloc_some(lcore, len, limit, Effort::at_hand, &iova, 1);
}

Status Domain::alloc_some(unsigned lcore, uint64_t len, uint64_t limit, Effort effort, uint64_t *iovas, unsigned n)
{
	Request r;
	const Status status = check(len, limit, r);
	if (status != Status::ok)
		return status;
	if (!r.cached)
		return alloc_from_tree(nullptr, r, effort, iovas, n);
	return with_cache(lcore, [&](LcoreCache &cache) { return alloc_cached(cache, r, effort, iovas, n); });
}

Status Domain::alloc_cached(LcoreCache &cache, const Request &r, Effort effort, uint64_t *iovas, unsigned n)
{
	unsigned done = 0;
	if (r.limit >= hot_.zone_last[r.bin.zone()]) {
		done = cache.get_run(state_->depot, r.bin, iovas, n);
	} else {
		// Some address of the zone may lie above the limit. Only the top of the loaded
		// magazine is looked at; the tree knows exactly.
		// Not of the shared cache: that look has no fence of its own, see may_change().
		while (done < n && &cache != &state_->shared && get_below(cache, r.bin, r.limit, iovas[done]))
			++done;
	}
	if (done == n)
		return Status::ok;
	const Status status = alloc_from_tree(&cache, r, effort, iovas + done, n - done);
	if (status != Status::ok)
		free_cached(cache, r.bin.klass(), iovas, done);
	return status;
}

// All n or none. With a cache, a few more are taken under the same lock for what comes
// next, as many as it has room for.
Status Domain::alloc_from_tree(LcoreCache *cache, const Request &r, Effort effort, uint64_t *iovas, unsigned n)
{
	AddressSpace &space = state_->space;
	unsigned round = 0;
	unsigned done = 0;
	while (done < n) {
		Pfn run[AddressSpace::kRun];
		const unsigned want = std::min(n - done, AddressSpace::kRun);
		const unsigned ahead = cache && round == 0 ? ahead_of(*cache, r, want) : 0;
		InFlight guard(ahead != 0 ? cache : nullptr);
		const uint64_t frees = space.frees();
		Status status;
		// What is taken ahead lies side by side where it can: so it is unmapped in few calls. And
		// in the bin's zone, not below it: a device that reaches no further may need that, and it would
		// be kept where nobody looks for it.
		const Pfn floor = r.cached ? geometry().pfn(hot_.zone_first[r.bin.zone()]) : 0;
		const bool row = ahead != 0 &&
				 space.alloc_row(r.granules, r.align, r.limit_pfn, r.value, run, want + ahead, floor);
		const unsigned got = row ? want + ahead
					 : space.alloc_run(r.granules, r.align, r.limit_pfn, r.value, run,
							   want + ahead, status, want, floor);
		const unsigned taken = std::min(got, want);
		for (unsigned i = 0; i < taken; ++i)
			iovas[done++] = geometry().bytes(run[i]);
		if (got > want)
			keep(*cache, r.bin, run + want, got - want);
		guard.land();
		if (taken < want && (effort == Effort::at_hand || !more_may_come(frees, round))) {
			for (unsigned i = 0; i < done; ++i)
				space.free(geometry().pfn(iovas[i]), r.granules, r.value);
			return status;
		}
	}
	return Status::ok;
}

// How many more to take than are wanted.
unsigned Domain::ahead_of(LcoreCache &cache, const Request &r, unsigned want) const
{
	constexpr unsigned kAhead = 31;
	if (r.limit < hot_.zone_last[r.bin.zone()])
		return 0;
	// A magazine for what there is not would be a reason for a reclaim, time and again.
	if (!cache.has_magazine(r.bin) && state_->space.refuses(r.granules, r.align))
		return 0;
	return std::min({kAhead, AddressSpace::kRun - want,
			 static_cast<unsigned>(kCachedGranules / r.granules),
			 cache.room(state_->depot, r.bin)});
}

// Into the cache what was taken ahead, turned round: the highest is handed out next.
void Domain::keep(LcoreCache &cache, Bin bin, const Pfn *run, unsigned n)
{
	uint64_t iovas[AddressSpace::kRun];
	for (unsigned i = 0; i < n; ++i)
		iovas[n - 1 - i] = geometry().bytes(run[i]);
	free_cached(cache, bin.klass(), iovas, n);
}

Status Domain::check_range(uint64_t len, uint64_t align, uint64_t limit, Request &r) const
{
	const Status status = check(len, limit, r);
	if (status != Status::ok || !std::has_single_bit(align) || !geometry().whole(align))
		return Status::invalid;
	r.granules = len >> hot_.shift;
	r.align = align >> hot_.shift;
	r.value = kLive;
	return Status::ok;
}

Status Domain::alloc_range(uint64_t len, uint64_t align, uint64_t limit, uint64_t &iova)
{
	Request r;
	const Status status = check_range(len, align, limit, r);
	return status == Status::ok ? failed(alloc_from_tree(nullptr, r, Effort::reclaim, &iova, 1)) : status;
}

Status Domain::alloc_range_at_hand(uint64_t len, uint64_t align, uint64_t limit, uint64_t &iova)
{
	Request r;
	const Status status = check_range(len, align, limit, r);
	return status == Status::ok ? alloc_from_tree(nullptr, r, Effort::at_hand, &iova, 1) : status;
}

// ---- giving back ----

Status Domain::check_blocks(const uint64_t *iovas, uint64_t len, unsigned n) const
{
	const Geometry &g = geometry();
	const uint64_t granules = len >> hot_.shift;
	if (len == 0 || !g.whole(len) || granules > g.end - g.first)
		return Status::invalid;
	const uint64_t block = block_of(granules), align_mask = g.bytes(std::bit_ceil(granules)) - 1;
	for (unsigned i = 0; i < n; ++i) {
		if ((iovas[i] & align_mask) != 0 || !g.holds(iovas[i], g.bytes(block)))
			return Status::invalid;
	}
	return Status::ok;
}

Status Domain::free_bulk(unsigned lcore, const uint64_t *iovas, uint64_t len, unsigned n)
{
	if (check_blocks(iovas, len, n) != Status::ok)
		return Status::invalid;
	const uint64_t granules = len >> hot_.shift;
	if (granules > cached_granules_)
		return put_into_tree(block_of(granules), kLive, iovas, n);
	const unsigned klass = class_of(granules);
	return with_cache(lcore, [&](LcoreCache &cache) { return free_cached(cache, klass, iovas, n); });
}

Status Domain::free_to_tree(const uint64_t *iovas, uint64_t len, unsigned n)
{
	if (check_blocks(iovas, len, n) != Status::ok)
		return Status::invalid;
	const uint64_t granules = len >> hot_.shift;
	return put_into_tree(block_of(granules), granules > cached_granules_ ? kLive : kBlock, iovas, n);
}

// Runs that share a zone go to the magazines of that zone; what they cannot take goes to
// the tree.
Status Domain::free_cached(LcoreCache &cache, unsigned klass, const uint64_t *iovas, unsigned n)
{
	Depot &depot = state_->depot;
	const InFlight guard(&cache);  // magazines that overflow
	Status status = Status::ok;
	for (unsigned begin = 0, end; begin < n; begin = end) {
		const Bin bin = Bin::of(klass, iovas[begin] >= hot_.border);
		for (end = begin + 1; end < n && (iovas[end] >= hot_.border) == bin.zone(); ++end)
			;
		unsigned done = begin;
		Magazine *overflow;
		do {
			done += cache.put_run(depot, bin, iovas + done, end - done, overflow);
			if (overflow)
				empty_magazine(*overflow);
		} while (overflow && done < end);
		if (done < end && put_into_tree(bin.granules(), kBlock, iovas + done, end - done) != Status::ok)
			status = Status::not_found;
	}
	return status;
}

Status Domain::put_into_tree(uint64_t granules, Value value, const uint64_t *iovas, unsigned n)
{
	unsigned freed = 0;
	for (unsigned i = 0; i < n;) {
		Pfn run[AddressSpace::kFreeRun];
		unsigned count = 0;
		for (; count < AddressSpace::kFreeRun && i < n; ++i)
			run[count++] = geometry().pfn(iovas[i]);
		freed += state_->space.free_run(granules, value, run, count);
	}
	return freed == n ? Status::ok : Status::not_found;
}

Status Domain::free_range(uint64_t iova, uint64_t len)
{
	if (!geometry().holds(iova, len))
		return Status::invalid;
	return state_->space.free(geometry().pfn(iova), len >> hot_.shift, kLive);
}

// ---- reserving ----

Status Domain::reserve(uint64_t iova, uint64_t len)
{
	if (!geometry().holds(iova, len))
		return Status::invalid;
	const Pfn start = geometry().pfn(iova), end = start + (len >> hot_.shift);
	// What is in the way, or the node that is missing, may be in a cache.
	Status status;
	unsigned round = 0;
	uint64_t frees;
	do {
		frees = state_->space.frees();
		status = state_->space.reserve(start, end);
	} while (status != Status::ok && more_may_come(frees, round));
	return status == Status::again ? failed(status) : status;
}

Status Domain::unreserve(uint64_t iova, uint64_t len)
{
	if (!geometry().holds(iova, len))
		return Status::invalid;
	const Pfn start = geometry().pfn(iova);
	const Status status = state_->space.unreserve(start, start + (len >> hot_.shift));
	return status == Status::again ? failed(status) : status;
}

Extent Domain::find(uint64_t iova) const
{
	const Pfn pfn = geometry().pfn(iova);
	if (pfn < geometry().first || pfn >= geometry().end)
		return {pfn, pfn, 0};
	return state_->space.find(pfn);
}

}  // namespace iovad::core
