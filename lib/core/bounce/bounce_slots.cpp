// SPDX-License-Identifier: BSD-3-Clause
// The data path. First of each call what is common: an lcore, one granule from or to the magazine that it
// has loaded, no address bits to keep. All else, and what is wrong, is found out by what has _other in its name.
#include "core/bounce/bounce_slots.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/bounce/bounce_copy.h"
#include "core/bounce/bounce_padding.h"

namespace iovad::core {

namespace {

constexpr uint64_t kNoLimit = ~uint64_t{0};

// The three directions, and from the device alone with kBounceOverwrite.
bool may_map(uint32_t dir)
{
	return (dir - 1 < kBounceBidirectional) || dir == (kBounceFromDevice | kBounceOverwrite);
}

bool is_mask(uint64_t mask) { return (mask & (mask + 1)) == 0 && mask < kChunkBytes; }

uint64_t address(const void *va) { return reinterpret_cast<uintptr_t>(va); }

void add_own(uint64_t &counter, uint64_t n) { store_relaxed(counter, counter + n); }

// One writer, but for threads without an lcore.
void add(unsigned lcore, uint64_t &counter, uint64_t n)
{
	if (lcore != kNoLcore)
		add_own(counter, n);
	else
		__atomic_fetch_add(&counter, n, __ATOMIC_RELAXED);
}

}  // namespace

// What a mapping that is no plain granule gets.
struct BounceSlots::Slot {
	uint64_t offset;    // of the data's first byte
	uint64_t granules;  // as asked of the slot space
	uint64_t align;     // of a range; 0: a block
	uint64_t iova;      // of the slot

	bool is_range() const { return align != 0; }
	bool is_plain() const { return !is_range() && granules == 1; }
	uint64_t asked_bytes() const { return granules * kBounceGranule; }
	uint64_t bytes() const { return is_range() ? asked_bytes() : block_of(granules) * kBounceGranule; }

	static Slot holding(uint64_t offset, uint64_t len, uint64_t mask)
	{
		const uint64_t granules = (offset + len + kBounceGranule - 1) >> kBounceShift;
		// A block is aligned to its length: one as long as the alignment will do.
		const uint64_t block = std::max(granules, (mask + 1) >> kBounceShift);
		if (block <= kCachedGranules)
			return {offset, block, 0, 0};
		const uint64_t natural = std::min(std::bit_ceil(granules), kChunkGranules) * kBounceGranule;
		return {offset, granules, std::max(natural, mask + 1), 0};
	}
};

BounceSlots::BounceSlots(BounceState *state, ProcessId process)
	: domain_(state->domain, process), state_(state), base_(state->config.base), bytes_(state->config.bytes),
	  places_(state->places), counters_(state->counters)
{
}

// Use(memory, at, n): for each part that lies in one chunk; at counts from iova.
template <class Use> void BounceSlots::for_each_piece(uint64_t iova, uint64_t len, Use use) const
{
	for (uint64_t at = 0, n; at < len; at += n) {
		n = std::min(len - at, kChunkBytes - ((iova + at) & (kChunkBytes - 1)));
		use(memory_of(iova + at), at, n);
	}
}

// ---- mapping ----

BounceStatus BounceSlots::map(unsigned lcore, void *va, uint64_t len, uint64_t min_align_mask, uint32_t dir,
			      uint64_t &iova)
{
	// Threads without an lcore have no magazine.
	uint64_t slot;
	if (va == nullptr || len - 1 >= kBounceGranule || min_align_mask != 0 || !known(dir) ||
	    !iovad_hot_alloc(&domain_.hot(), lcore, kBounceGranule, kNoLimit, &slot)) [[unlikely]]
		return map_other(lcore, va, len, min_align_mask, dir, iova);
	SlotRecord &r = record_of(slot);
	iova = slot;
	if (r.dirty != SlotRecord::Dirty{0, static_cast<uint16_t>(len)}) [[unlikely]]
		return map_padded(lcore, static_cast<std::byte *>(va), len, dir, r, iova);
	return finish_map(lcore, static_cast<std::byte *>(va), len, dir, r, slot);
}

// The copy comes last, when nothing else has to be kept in registers. Nobody asks for the mapping before this returns.
[[gnu::always_inline]] inline BounceStatus BounceSlots::finish_map(unsigned lcore, std::byte *va, uint64_t len, uint32_t dir,
								   SlotRecord &r, uint64_t iova) const
{
	store_relaxed(r.va, va);
	r.store_tag(BounceTag::mapped(iova, len, dir, true));
	BounceCounters &c = counters_[lcore + 1];
	add_own(c.plain_maps, 1);
	add_own(c.copied_in, len);
	if (is_short(len))
		copy_short(r.memory, va, len);
	else
		std::memcpy(r.memory, va, len);
	return BounceStatus::ok;
}

// Apart, so that map() has no call in its middle.
[[gnu::noinline]] BounceStatus BounceSlots::map_padded(unsigned lcore, std::byte *va, uint64_t len, uint32_t dir,
						       SlotRecord &r, uint64_t &iova)
{
	pad_granule(r, {0, static_cast<uint16_t>(len)}, false);
	return finish_map(lcore, va, len, dir, r, iova);
}

[[gnu::noinline]] BounceStatus BounceSlots::map_other(unsigned lcore, void *va, uint64_t len, uint64_t mask, uint32_t dir,
						      uint64_t &iova)
{
	const BounceStatus status = map_slot(lcore, va, len, mask, dir, iova);
	if (watch_) [[unlikely]] {
		if (status == BounceStatus::ok)
			watch_->slot_mapped(iova, len, dir & kBounceBidirectional, va);
		else
			iova = ~uint64_t{0};
	}
	return status;
}

BounceStatus BounceSlots::map_slot(unsigned lcore, void *va, uint64_t len, uint64_t mask, uint32_t dir, uint64_t &iova)
{
	if (va == nullptr || len == 0 || !is_mask(mask) || !may_map(dir))
		return BounceStatus::invalid;
	const uint64_t offset = address(va) & mask;
	if (len > bytes_ || offset > bytes_ - len)
		return BounceStatus::too_long;
	Slot slot = Slot::holding(offset, len, mask);
	if (slot.bytes() > bytes_)
		return BounceStatus::too_long;
	const BounceStatus status = take(lcore, slot);
	if (status != BounceStatus::ok)
		return status;
	auto *from = static_cast<std::byte *>(va);
	fill(slot, from, len, dir);
	iova = slot.iova + offset;
	SlotRecord &r = record_of(iova);
	store_relaxed(r.va, from);
	r.granules = static_cast<uint32_t>(slot.granules);
	r.lead = static_cast<uint16_t>(offset >> kBounceShift);
	r.range = slot.is_range();
	r.store_tag(BounceTag::mapped(iova, len, dir & kBounceBidirectional, slot.is_plain()));
	BounceCounters &c = counters_[lcore + 1];
	if (slot.is_plain()) {
		add(lcore, c.plain_maps, 1);
	} else {
		add(lcore, c.other_maps, 1);
		add(lcore, c.other_mapped_bytes, slot.bytes());
	}
	add(lcore, c.copied_in, (dir & kBounceOverwrite) != 0 ? 0 : len);
	return BounceStatus::ok;
}

// What is at hand, then what stands by, then what caches of other lcores hold: that takes system calls.
// As long as chunks come to serve, by this thread or another, there may be a slot.
BounceStatus BounceSlots::take(unsigned lcore, Slot &slot)
{
	for (bool missed = false;; missed = true) {
		// Acquire pairs with begin_serving(): what came before this number is found.
		const uint64_t served = state_->served.load(std::memory_order_acquire);
		const auto more_serve = [&] { return served != state_->served.load(std::memory_order_acquire); };
		if (take_at_hand(lcore, slot) == Status::ok) [[likely]]
			return BounceStatus::ok;
		const bool stood_by = take_standby() || more_serve();
		const Status status = stood_by ? Status::no_space : take_from_all(lcore, slot);
		if (status == Status::ok)
			return BounceStatus::ok;
		if (!missed)
			note_miss(slot.bytes());
		if (stood_by || more_serve())
			continue;
		state_->refused.fetch_add(1, std::memory_order_relaxed);
		return status == Status::again || can_grow() ? BounceStatus::again : BounceStatus::no_space;
	}
}

Status BounceSlots::take_at_hand(unsigned lcore, Slot &slot)
{
	return slot.is_range() ? domain_.alloc_range_at_hand(slot.asked_bytes(), slot.align, kNoLimit, slot.iova)
			       : domain_.alloc_at_hand(lcore, slot.asked_bytes(), kNoLimit, slot.iova);
}

Status BounceSlots::take_from_all(unsigned lcore, Slot &slot)
{
	return slot.is_range() ? domain_.alloc_range(slot.asked_bytes(), slot.align, kNoLimit, slot.iova)
			       : domain_.alloc(lcore, slot.asked_bytes(), kNoLimit, slot.iova);
}

void BounceSlots::note_miss(uint64_t slot_bytes)
{
	state_->misses.fetch_add(1, std::memory_order_relaxed);
	uint64_t wanted = state_->wanted_bytes.load(std::memory_order_relaxed);
	while (wanted < slot_bytes &&
	       !state_->wanted_bytes.compare_exchange_weak(wanted, slot_bytes, std::memory_order_relaxed))
		;
}

void BounceSlots::fill(const Slot &slot, const std::byte *va, uint64_t len, uint32_t dir)
{
	const bool overwrite = (dir & kBounceOverwrite) != 0;
	const uint64_t begin = slot.offset, end = slot.offset + len;
	for_each_piece(slot.iova, slot.bytes(), [&](std::byte *memory, uint64_t at, uint64_t n) {
		const uint64_t from = std::max(begin, at), to = std::max(from, std::min(end, at + n));
		pad_granules(&record_of(slot.iova + at), n >> kBounceShift, from - at, to - at, overwrite);
		if (!overwrite)
			copy_into_slot(memory + (from - at), va + (from - begin), to - from, dir != kBounceToDevice);
	});
}

// ---- what is mapped ----

BounceStatus BounceSlots::unmap(unsigned lcore, uint64_t iova, uint64_t len, uint32_t dir, uint32_t flags)
{
	if (iova - base_ >= bytes_ || len > kBounceGranule || dir > kBounceBidirectional || flags != 0 || lcore == kNoLcore)
		[[unlikely]]
		return unmap_other(lcore, iova, len, dir, flags);
	SlotRecord &r = record_of(iova);
	const BounceTag tag = BounceTag::mapped(iova, len, dir, true);
	if (r.load_tag() != tag) [[unlikely]]
		return unmap_other(lcore, iova, len, dir, flags);
	if (dir == kBounceToDevice)
		return finish_unmap(lcore, r, iova);
	add_own(counters_[lcore + 1].copied_out, len);
	if (!is_short(len))
		return unmap_long(lcore, r, iova, len);
	copy_short(r.va, r.memory + tag.offset(), len);
	return finish_unmap(lcore, r, iova);
}

// The slot is the next owner's when its address is back, and so is the record.
[[gnu::always_inline]] inline BounceStatus BounceSlots::finish_unmap(unsigned lcore, SlotRecord &r, uint64_t iova)
{
	add_own(counters_[lcore + 1].plain_unmaps, 1);
	r.store_tag(r.load_tag().unmapped());
	const uint64_t slot = iova & ~(kBounceGranule - 1);
	if (!iovad_hot_free(&domain_.hot(), lcore, slot, kBounceGranule)) [[unlikely]]
		free_plain(lcore, slot);
	return BounceStatus::ok;
}

// These two apart, so that unmap() has no call in its middle.
[[gnu::noinline]] BounceStatus BounceSlots::unmap_long(unsigned lcore, SlotRecord &r, uint64_t iova, uint64_t len)
{
	std::memcpy(r.va, r.memory + r.load_tag().offset(), len);
	return finish_unmap(lcore, r, iova);
}

[[gnu::noinline]] void BounceSlots::free_plain(unsigned lcore, uint64_t slot)
{
	if (watch_) [[unlikely]]
		watch_->slot_unmapped(slot + record_of(slot).load_tag().offset());
	domain_.free(lcore, slot, kBounceGranule);
}

[[gnu::noinline]] BounceStatus BounceSlots::unmap_other(unsigned lcore, uint64_t iova, uint64_t len, uint32_t dir,
							uint32_t flags)
{
	if (flags > kBounceSkipCopy)
		return BounceStatus::invalid;
	BounceStatus status;
	SlotRecord *r = find(iova, 0, len, dir, status);
	if (!r)
		return refused(BounceWatch::Use::unmap, iova, 0, len, dir, status);
	const BounceTag tag = r->load_tag();
	if (tag.len() != len)
		return refused(BounceWatch::Use::unmap, iova, 0, len, dir, BounceStatus::wrong_length);
	const uint64_t copied = dir == kBounceToDevice || flags != 0 ? 0 : len;
	for_each_piece(iova, copied, [&](const std::byte *memory, uint64_t at, uint64_t n) {
		std::memcpy(r->va + at, memory, n);
	});
	BounceCounters &c = counters_[lcore + 1];
	add(lcore, c.copied_out, copied);
	const uint64_t first = iova & ~(kBounceGranule - 1);
	// Before the slot is free: then the record is the next owner's.
	r->store_tag(tag.unmapped());
	if (tag.is_plain()) {
		add(lcore, c.plain_unmaps, 1);
		free_plain(lcore, first);
		return BounceStatus::ok;
	}
	add(lcore, c.other_unmaps, 1);
	if (watch_) [[unlikely]]
		watch_->slot_unmapped(iova);
	const uint64_t slot = first - r->lead * kBounceGranule, asked = r->granules * kBounceGranule;
	add(lcore, c.other_unmapped_bytes, r->slot_bytes());
	if (r->range)
		domain_.free_range(slot, asked);
	else
		domain_.free(lcore, slot, asked);
	return BounceStatus::ok;
}

[[gnu::cold]] BounceStatus BounceSlots::refused(BounceWatch::Use use, uint64_t iova, uint64_t off, uint64_t len, uint32_t dir,
						BounceStatus why) const
{
	if (watch_)
		watch_->slot_refused(use, iova, off, len, dir, why);
	return why;
}

// The record of a mapping of which [off, off + len) is a part; null: status says why not.
SlotRecord *BounceSlots::find(uint64_t iova, uint64_t off, uint64_t len, uint32_t dir, BounceStatus &status)
{
	status = BounceStatus::invalid;
	if (len == 0 || !known(dir))
		return nullptr;
	status = BounceStatus::not_of_pool;
	if (iova - base_ >= bytes_)
		return nullptr;
	SlotRecord &r = record_of(iova);
	const BounceTag tag = r.load_tag();
	if (!tag.is_mapped() || tag.offset() != (iova & (kBounceGranule - 1)) || tag.dir() != dir) {
		status = why_not(iova);
		return nullptr;
	}
	status = BounceStatus::wrong_length;
	if (off > tag.len() || len > tag.len() - off)
		return nullptr;
	status = BounceStatus::ok;
	return &r;
}

BounceStatus BounceSlots::sync_for_cpu(unsigned lcore, uint64_t iova, uint64_t off, uint64_t len, uint32_t dir)
{
	BounceStatus status;
	const SlotRecord *r = find(iova, off, len, dir, status);
	if (!r)
		return refused(BounceWatch::Use::sync, iova, off, len, dir, status);
	if (dir == kBounceToDevice)
		return status;
	for_each_piece(iova + off, len, [&](const std::byte *memory, uint64_t at, uint64_t n) {
		std::memcpy(r->va + off + at, memory, n);
	});
	add(lcore, counters_[lcore + 1].copied_out, len);
	return status;
}

BounceStatus BounceSlots::sync_for_device(unsigned lcore, uint64_t iova, uint64_t off, uint64_t len, uint32_t dir)
{
	BounceStatus status;
	const SlotRecord *r = find(iova, off, len, dir, status);
	if (!r)
		return refused(BounceWatch::Use::sync, iova, off, len, dir, status);
	if (dir == kBounceFromDevice)
		return status;
	for_each_piece(iova + off, len, [&](std::byte *memory, uint64_t at, uint64_t n) {
		copy_into_slot(memory, r->va + off + at, n, dir != kBounceToDevice);
	});
	add(lcore, counters_[lcore + 1].copied_in, len);
	return status;
}

// iova, in the window, is not the first byte of a mapping in the direction that was said.
BounceStatus BounceSlots::why_not(uint64_t iova)
{
	const BounceTag tag = record_of(iova).load_tag();
	const bool first_byte = tag.offset() == (iova & (kBounceGranule - 1));
	if (tag.is_mapped() && first_byte)
		return BounceStatus::wrong_direction;
	const Extent e = domain_.find(iova);
	if (is_live(e.value) && any_mapped(e))
		return BounceStatus::inside;
	return tag.is_unmapped() && first_byte ? BounceStatus::already : BounceStatus::not_mapped;
}

// Whether something is mapped in a slot, rather than held by a cache. The first byte of the data is never
// further from the slot's than an alignment can make it.
bool BounceSlots::any_mapped(const Extent &slot) const
{
	const Pfn end = std::min(slot.end, slot.start + kChunkGranules);
	for (Pfn pfn = slot.start; pfn < end; ++pfn) {
		if (record_of(pfn << kBounceShift).load_tag().is_mapped())
			return true;
	}
	return false;
}

}  // namespace iovad::core
