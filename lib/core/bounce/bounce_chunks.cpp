// SPDX-License-Identifier: BSD-3-Clause
// Chunks that come and go, and what there is of all.
#include <algorithm>
#include <new>

#include "core/bounce/bounce_slots.h"

namespace iovad::core {

namespace {

constexpr SlotRecord::Dirty kAllDirty = {0, kBounceGranule};

}  // namespace

ChunkState BounceSlots::chunk_state(unsigned index) const
{
	LockGuard guard(state_->standby_lock);
	return state_->chunks[index];
}

// With standby_lock held: the granules of a chunk that does not serve are free from now on, and its
// state is that.
Status BounceSlots::begin_serving(unsigned index, ChunkState state)
{
	const Status status = domain_.unreserve(chunk_iova(index), kChunkBytes);
	if (status != Status::ok)
		return status;
	state_->chunks[index] = state;
	store_relaxed(state_->serving, state_->serving + 1);
	// Release pairs with take().
	state_->served.fetch_add(1, std::memory_order_release);
	return status;
}

Status BounceSlots::add_chunk(unsigned index, void *va, void *records, ChunkState state)
{
	if (index >= chunks() || state == ChunkState::absent || has_records(index) == (records != nullptr))
		return Status::invalid;
	LockGuard guard(state_->standby_lock);
	if (state_->chunks[index] != ChunkState::absent)
		return Status::exists;
	BounceState::Place &place = places_[index];
	if (records) {
		auto *const fresh = new (records) ChunkRecords{};
		if (!domain_.add_nodes(fresh->nodes, sizeof fresh->nodes))
			return Status::invalid;
		// Release: see Place.
		__atomic_store_n(&place.records, fresh, __ATOMIC_RELEASE);
	}
	auto *memory = static_cast<std::byte *>(va);
	for (SlotRecord &r : place.load_records()->granule) {
		r.dirty = kAllDirty;
		r.memory = memory;
		memory += kBounceGranule;
	}
	store_relaxed(place.va, static_cast<std::byte *>(va));
	if (state == ChunkState::standby) {
		state_->chunks[index] = state;
		++state_->standby;
		return Status::ok;
	}
	const Status status = begin_serving(index, state);
	if (status != Status::ok)
		store_relaxed(place.va, nullptr);
	else
		state_->transient += state == ChunkState::transient;
	return status;
}

Status BounceSlots::serve_chunk(unsigned index)
{
	if (index >= chunks())
		return Status::invalid;
	LockGuard guard(state_->standby_lock);
	if (state_->chunks[index] == ChunkState::transient) {
		state_->chunks[index] = ChunkState::serving;
		--state_->transient;
		return Status::ok;
	}
	if (state_->chunks[index] != ChunkState::standby)
		return Status::not_found;
	const Status status = begin_serving(index, ChunkState::serving);
	if (status == Status::ok)
		--state_->standby;
	return status;
}

// On a miss. Under the lock, so that whoever finds none sees that one was served. The highest one, as slots are taken from the top.
bool BounceSlots::take_standby()
{
	LockGuard guard(state_->standby_lock);
	if (state_->standby == 0)
		return false;
	for (unsigned index = chunks(); index-- != 0;) {
		if (state_->chunks[index] != ChunkState::standby)
			continue;
		if (begin_serving(index, ChunkState::transient) != Status::ok)
			return false;
		--state_->standby;
		++state_->transient;
		return true;
	}
	return false;
}

Status BounceSlots::remove_chunk(unsigned index)
{
	if (index >= chunks())
		return Status::invalid;
	{
		LockGuard guard(state_->standby_lock);
		if (state_->chunks[index] == ChunkState::absent)
			return Status::not_found;
		if (state_->chunks[index] == ChunkState::standby) {
			state_->chunks[index] = ChunkState::absent;
			--state_->standby;
			store_relaxed(places_[index].va, nullptr);
			return Status::ok;
		}
	}
	// It serves, and nobody but this thread can change that.
	const Pfn first = chunk_iova(index) >> kBounceShift, end = first + kChunkGranules;
	const ChunkUse use = chunk_use(index);
	if (use == ChunkUse::busy)
		return Status::busy;
	if (use == ChunkUse::idle)
		domain_.reclaim();
	// Not by the domain, which would empty all caches again and again while others take from here.
	const Status status = domain_.space().reserve(first, end);
	if (status != Status::ok)
		return status == Status::exists ? Status::busy : status;
	LockGuard guard(state_->standby_lock);
	state_->transient -= state_->chunks[index] == ChunkState::transient;
	store_relaxed(state_->serving, state_->serving - 1);
	state_->chunks[index] = ChunkState::absent;
	store_relaxed(places_[index].va, nullptr);
	return Status::ok;
}

// Ranges are in no cache.
ChunkUse BounceSlots::chunk_use(unsigned index)
{
	const Pfn first = chunk_iova(index) >> kBounceShift, end = first + kChunkGranules;
	ChunkUse use = ChunkUse::free;
	Extent run[AddressSpace::kRun];
	for (Pfn pfn = first; pfn < end;) {
		const unsigned n = domain_.space().find_run(pfn, run, AddressSpace::kRun);
		for (unsigned i = 0; i < n && run[i].start < end; ++i) {
			if (run[i].value == kLive || (run[i].value == kBlock && any_mapped(run[i])))
				return ChunkUse::busy;
			if (run[i].value == kBlock)
				use = ChunkUse::idle;
		}
		pfn = run[n - 1].end;
	}
	return use;
}

uint64_t BounceSlots::out_bytes() const
{
	return domain_.space().live() * kBounceGranule;
}

uint64_t BounceSlots::take_peak()
{
	LockGuard guard(state_->standby_lock);
	const uint64_t most = domain_.space().take_most_live();
	state_->hiwater_granules = std::max(state_->hiwater_granules, most);
	return most * kBounceGranule;
}

BounceStats BounceSlots::stats() const
{
	BounceStats s = {};
	uint64_t unmapped = 0;
	// First what went, then what came, so that the differences are hardly ever below 0: others count on
	// meanwhile, and what one lcore maps another may unmap.
	for (unsigned i = 0; i <= kMaxLcores; ++i) {
		const BounceCounters &c = counters_[i];
		const uint64_t plain = load_relaxed(c.plain_unmaps);
		s.unmaps += plain + load_relaxed(c.other_unmaps);
		unmapped += plain * kBounceGranule + load_relaxed(c.other_unmapped_bytes);
	}
	for (unsigned i = 0; i <= kMaxLcores; ++i) {
		const BounceCounters &c = counters_[i];
		const uint64_t plain = load_relaxed(c.plain_maps);
		s.maps += plain + load_relaxed(c.other_maps);
		s.used_bytes += plain * kBounceGranule + load_relaxed(c.other_mapped_bytes);
		s.copied_in_bytes += load_relaxed(c.copied_in);
		s.copied_out_bytes += load_relaxed(c.copied_out);
	}
	s.unmaps = std::min(s.unmaps, s.maps);
	s.used_bytes -= std::min(s.used_bytes, unmapped);
	s.misses = state_->misses.load(std::memory_order_relaxed);
	s.refused = state_->refused.load(std::memory_order_relaxed);
	LockGuard guard(state_->standby_lock);
	s.size_bytes = state_->serving * kChunkBytes;
	s.transient_bytes = state_->transient * kChunkBytes;
	s.standby_bytes = state_->standby * kChunkBytes;
	s.out_bytes = out_bytes();
	s.hiwater_bytes = std::max(state_->hiwater_granules, domain_.space().most_live()) * kBounceGranule;
	return s;
}

}  // namespace iovad::core
