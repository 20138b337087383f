// SPDX-License-Identifier: BSD-3-Clause
// Bounce slots: where data is copied through, and what is known of each.
//
// The window of a pool is an address space of its own, the slot space: a core::Domain with
// granules of 2 KiB whose addresses are the I/O virtual addresses in the window. So slots
// have the lcores' magazines, the depot, the tree, and are reclaimed where they run out and nothing
// stands by, as all addresses are. All of it begins reserved. A chunk (2 MiB of memory) that comes to serve
// is unreserved, one that goes is reserved again.
//
//   up to 128 KiB   a block, from this lcore's magazine: aligned to its length, a power of two
//   up to 2 MiB     a range, from the tree: inside one chunk
//   longer          a range from the first byte of a chunk on; chunks are neighbours in the window,
//                   their memory is not, so it is copied chunk by chunk
//
// Zero padding. For each granule there is noted which of its bytes may be other than zero. A map
// makes zero what is noted and does not come to hold the caller's data, in all granules of the slot;
// for lengths and places that repeat there is nothing to do. Nothing is made zero at an unmap. The note
// is of what mappings were given: a device that writes to the padding of its slot
// leaves that there, for whoever gets the slot next.
//
// State and handle are apart, and the environment is passed in, as with Domain. One process, though.
//
// Who may call: map(), unmap(), sync_*(): any thread; one mapping's never at once. What says "control":
// one thread at a time, beside all others.
//
// Locks: standby_lock, then those of the slot space.
#pragma once

#include "core/bounce/bounce_chunk.h"
#include "core/domain.h"

namespace iovad::core {

// As IOVAD_TO_DEVICE and its kin.
inline constexpr uint32_t kBounceToDevice = 1, kBounceFromDevice = 2, kBounceBidirectional = 3;
inline constexpr uint32_t kBounceOverwrite = 4;  // IOVAD_BOUNCE_OVERWRITE
inline constexpr uint32_t kBounceSkipCopy = 1;   // IOVAD_BOUNCE_F_SKIP_COPY

// How a call of the data path ended: the errnos of iovad_bounce.h, one for one.
enum class BounceStatus : uint8_t {
	ok,
	invalid,          // EINVAL
	too_long,         // EMSGSIZE
	again,            // EAGAIN: no slot, and the pool can grow, or what is given back may help
	no_space,         // ENOSPC: no slot, and it cannot
	not_of_pool,      // ENXIO
	not_mapped,       // ENOENT
	already,          // EALREADY
	inside,           // EFAULT
	wrong_direction,  // EACCES
	wrong_length,     // ERANGE
};

// Debug mode's, told of what the pool is used for, where that is not cached: all of it. Any thread.
class BounceWatch {
public:
	virtual void slot_mapped(uint64_t iova, uint64_t len, uint32_t dir, const void *va) = 0;
	// Before the slot is somebody else's.
	virtual void slot_unmapped(uint64_t iova) = 0;
	// A call did nothing, for that reason. off: of a sync.
	enum class Use { unmap, sync };
	virtual void slot_refused(Use use, uint64_t iova, uint64_t off, uint64_t len, uint32_t dir, BounceStatus why) = 0;

protected:
	~BounceWatch() = default;
};

struct BounceConfig {
	uint64_t base;           // of the window: a multiple of 2 MiB, not 0
	uint64_t bytes;          // likewise
	uint32_t caches;         // lcores that can have a cache; as in DomainConfig
	uint32_t magazines;
	unsigned cache_percent;  // of the window
	bool cached;
};

struct BounceStats {
	uint64_t size_bytes;       // of chunks that serve
	uint64_t transient_bytes;  // of these
	uint64_t standby_bytes;    // beside these
	uint64_t used_bytes;       // of slots that are mapped
	uint64_t out_bytes;        // out of the free space: used, and in caches
	uint64_t hiwater_bytes;    // the most of these, ever
	uint64_t maps, unmaps, misses, refused;  // misses: found no slot at first; refused: nor later
	uint64_t copied_in_bytes, copied_out_bytes;
};

// What one lcore has done, ever. Written by it only; those of threads without an lcore by
// atomic additions.
struct alignas(64) BounceCounters {
	uint64_t plain_maps, plain_unmaps;  // of one granule each
	uint64_t other_maps, other_unmaps, other_mapped_bytes, other_unmapped_bytes;
	uint64_t copied_in, copied_out;
};

struct BounceState {
	// A chunk, as the data path sees it. Written by control.
	struct Place {
		std::byte *va;
		ChunkRecords *records;  // never null

		std::byte *load_va() const { return load_relaxed(va); }
		// Acquire pairs with add_chunk(): whoever sees the records sees them formatted.
		ChunkRecords *load_records() const { return __atomic_load_n(&records, __ATOMIC_ACQUIRE); }
	};

	BounceConfig config;
	DomainState *domain;
	Place *places;              // by chunk, from the window's base up
	ChunkState *chunks;         // under standby_lock
	BounceCounters *counters;   // by lcore + 1: [0] is of threads that have none
	SpinLock standby_lock;
	uint64_t serving, transient, standby;  // chunks, serving the transient too; written under standby_lock
	std::atomic<uint64_t> served;          // chunks that came to serve, ever
	std::atomic<uint64_t> misses, refused, wanted_bytes;
	uint64_t hiwater_granules;  // before the slot space's present period; under standby_lock

	// Bytes that format() wants, aligned to 64.
	static size_t bytes(const BounceConfig &config);
	// A pool without memory.
	static BounceState *format(void *memory, const BounceConfig &config);

	bool has_records(unsigned chunk) const;
};

class BounceSlots {
public:
	// process: as of Domain; one has the pool.
	BounceSlots(BounceState *state, ProcessId process);
	// It stays. A map that fails leaves an address of all ones then.
	void set_watch(BounceWatch *watch) { watch_ = watch; }
	BounceSlots(const BounceSlots &) = delete;
	BounceSlots &operator=(const BounceSlots &) = delete;

	// See iovad_bounce.h. lcore: below kMaxLcores, or kNoLcore. dir of map(): with
	// kBounceOverwrite or not; flags of unmap(): kBounceSkipCopy or 0.
	BounceStatus map(unsigned lcore, void *va, uint64_t len, uint64_t min_align_mask, uint32_t dir,
			 uint64_t &iova);
	BounceStatus unmap(unsigned lcore, uint64_t iova, uint64_t len, uint32_t dir, uint32_t flags);
	BounceStatus sync_for_cpu(unsigned lcore, uint64_t iova, uint64_t off, uint64_t len, uint32_t dir);
	BounceStatus sync_for_device(unsigned lcore, uint64_t iova, uint64_t off, uint64_t len, uint32_t dir);

	// ---- control: chunks, 0 to chunks() - 1 from the window's base up ----
	unsigned chunks() const { return static_cast<unsigned>(state_->config.bytes >> kChunkShift); }
	uint64_t chunk_iova(unsigned index) const { return state_->config.base + index * kChunkBytes; }
	ChunkState chunk_state(unsigned index) const;
	ChunkUse chunk_use(unsigned index);
	void *chunk_va(unsigned index) const { return places_[index].load_va(); }

	// Whether a chunk has had its records; if not, add_chunk() wants sizeof(ChunkRecords) of
	// memory, aligned to 64, for as long as the pool lives.
	bool has_records(unsigned index) const { return state_->has_records(index); }
	// An absent chunk comes, mapped at chunk_iova(), in any state that is not absent. records: memory,
	// formatted here, or null if has_records(). What va holds does not matter.
	// exists: it is there. invalid: index, state, no records, or more than 512 GiB from the pool's state. again: no
	// node, nothing changed.
	Status add_chunk(unsigned index, void *va, void *records, ChunkState state);
	// A chunk on standby, or transient, becomes one that serves. not_found: it is neither. again: no node.
	Status serve_chunk(unsigned index);
	// It is absent from now on, and nothing touches its memory any more. Slots in it that are in
	// caches are no hindrance, but then all caches are emptied. busy: something in it is mapped, or was
	// taken meanwhile. not_found: absent. again: no node.
	Status remove_chunk(unsigned index);

	// The longest slot, in bytes, that missed since the last call; 0: there was none.
	uint64_t take_wanted() { return state_->wanted_bytes.exchange(0, std::memory_order_relaxed); }
	// The most that was out of the free space at one moment since the last call, in bytes.
	uint64_t take_peak();
	uint64_t out_bytes() const;
	bool can_grow() const { return load_relaxed(state_->serving) < chunks(); }
	// Chunks that serve; the transient ones among them.
	struct Serving {
		uint64_t chunks, transient;
	};
	Serving serving() const
	{
		LockGuard guard(state_->standby_lock);
		return {state_->serving, state_->transient};
	}

	// ---- upkeep: see Domain ----
	Domain &domain() { return domain_; }  // settle(), stats(), views
	void release_lcore(unsigned lcore) { domain_.release_lcore(lcore); }
	void end_period() { domain_.end_period(); }
	Domain::Trimmed trim(unsigned most) { return domain_.trim(most); }

	BounceStats stats() const;
	// Visit(iova, len, dir, va) for each mapping. Mappings that come or go meanwhile may be seen or not.
	template <class Visit> void for_each_mapping(Visit visit) const;
	// Recomputes everything. Nobody may map, sync or unmap, and no device write, meanwhile.
	bool verify(FILE *why);

private:
	struct Slot;

	static bool known(uint32_t dir) { return dir - 1 < kBounceBidirectional; }
	const BounceState::Place &place_of(uint64_t iova) const { return places_[(iova - base_) >> kChunkShift]; }
	SlotRecord &record_of(uint64_t iova) const
	{
		return place_of(iova).load_records()->granule[iova >> kBounceShift & (kChunkGranules - 1)];
	}
	std::byte *memory_of(uint64_t iova) const { return place_of(iova).load_va() + (iova & (kChunkBytes - 1)); }
	template <class Use> void for_each_piece(uint64_t iova, uint64_t len, Use use) const;

	BounceStatus map_padded(unsigned lcore, std::byte *va, uint64_t len, uint32_t dir, SlotRecord &r, uint64_t &iova);
	BounceStatus finish_map(unsigned lcore, std::byte *va, uint64_t len, uint32_t dir, SlotRecord &r,
				uint64_t iova) const;
	BounceStatus map_other(unsigned lcore, void *va, uint64_t len, uint64_t mask, uint32_t dir, uint64_t &iova);
	BounceStatus map_slot(unsigned lcore, void *va, uint64_t len, uint64_t mask, uint32_t dir, uint64_t &iova);
	BounceStatus take(unsigned lcore, Slot &slot);
	Status take_at_hand(unsigned lcore, Slot &slot);
	Status take_from_all(unsigned lcore, Slot &slot);
	void note_miss(uint64_t slot_bytes);
	void fill(const Slot &slot, const std::byte *va, uint64_t len, uint32_t dir);
	BounceStatus finish_unmap(unsigned lcore, SlotRecord &r, uint64_t iova);
	BounceStatus unmap_long(unsigned lcore, SlotRecord &r, uint64_t iova, uint64_t len);
	void free_plain(unsigned lcore, uint64_t slot);
	BounceStatus unmap_other(unsigned lcore, uint64_t iova, uint64_t len, uint32_t dir, uint32_t flags);
	bool take_standby();
	BounceStatus refused(BounceWatch::Use use, uint64_t iova, uint64_t off, uint64_t len, uint32_t dir,
			     BounceStatus why) const;
	SlotRecord *find(uint64_t iova, uint64_t off, uint64_t len, uint32_t dir, BounceStatus &status);
	BounceStatus why_not(uint64_t iova);
	bool any_mapped(const Extent &slot) const;
	Status begin_serving(unsigned index, ChunkState state);
	class Verifier;

	Domain domain_;  // first: its hot part begins it
	BounceState *state_;
	uint64_t base_, bytes_;
	BounceState::Place *places_;
	BounceCounters *counters_;
	BounceWatch *watch_ = nullptr;
};

template <class Visit> void BounceSlots::for_each_mapping(Visit visit) const
{
	for (uint64_t iova = base_; iova - base_ < bytes_; iova += kBounceGranule) {
		const SlotRecord &r = record_of(iova);
		const BounceTag tag = r.load_tag();
		if (tag.is_mapped())
			visit(iova + tag.offset(), tag.len(), static_cast<uint32_t>(tag.dir()), r.load_va());
	}
}

}  // namespace iovad::core
