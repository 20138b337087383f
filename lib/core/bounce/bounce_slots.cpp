// SPDX-License-Identifier: BSD-3-Clause
// The data path. First of each call what is common, one granule from or to the magazine that the
// lcore has loaded; all else is in map_other() and free_slot().
#include "core/bounce/bounce_slots.h"

#include <bit>

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

// One writer, but for threads without an lcore.
void add(unsigned lcore, uint64_t &counter, uint64_t n)
{
	if (lcore != kNoLcore) [[likely]]
		store_relaxed(counter, counter + n);
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

BounceSlots::BounceSlots(BounceState *state, uint32_t pid)
	: domain_(state->domain, pid), state_(state), base_(state->config.base), bytes_(state->config.bytes),
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

void BounceSlots::note_map(unsigned lcore, uint64_t slot_bytes, uint64_t copied)
{
	BounceCounters &c = counters_[lcore + 1];
	add(lcore, c.maps, 1);
	add(lcore, c.mapped_bytes, slot_bytes);
	add(lcore, c.copied_in, copied);
}

void BounceSlots::note_unmap(unsigned lcore, uint64_t slot_bytes, uint64_t copied)
{
	BounceCounters &c = counters_[lcore + 1];
	add(lcore, c.unmaps, 1);
	add(lcore, c.unmapped_bytes, slot_bytes);
	add(lcore, c.copied_out, copied);
}

// ---- mapping ----

BounceStatus BounceSlots::map(unsigned lcore, void *va, uint64_t len, uint64_t min_align_mask, uint32_t dir,
			      uint64_t &iova)
{
	if (va == nullptr || len == 0 || !is_mask(min_align_mask) || !may_map(dir)) [[unlikely]]
		return BounceStatus::invalid;
	auto *from = static_cast<std::byte *>(va);
	const uint64_t offset = address(va) & min_align_mask;
	uint64_t slot;
	if (len > kBounceGranule || min_align_mask >= kBounceGranule || offset + len > kBounceGranule ||
	    !iovad_hot_alloc(&domain_.hot(), lcore, kBounceGranule, kNoLimit, &slot)) [[unlikely]]
		return map_other(lcore, from, len, min_align_mask, dir, iova);

	SlotRecord &r = record_of(slot);
	std::byte *memory = memory_of(slot);
	const SlotRecord::Dirty data = {static_cast<uint16_t>(offset), static_cast<uint16_t>(offset + len)};
	const bool overwrite = (dir & kBounceOverwrite) != 0;
	pad_granule(r, memory, data, overwrite);
	if (!overwrite)
		copy_into_slot(memory + offset, from, len);
	r.note(from, 1, 0, false);
	r.store_tag(BounceTag::mapped(slot + offset, len, dir & kBounceBidirectional));
	note_map(lcore, kBounceGranule, overwrite ? 0 : len);
	iova = slot + offset;
	return BounceStatus::ok;
}

BounceStatus BounceSlots::map_other(unsigned lcore, std::byte *va, uint64_t len, uint64_t mask, uint32_t dir,
				    uint64_t &iova)
{
	const uint64_t offset = address(va) & mask;
	if (len > bytes_ || offset > bytes_ - len)
		return BounceStatus::too_long;
	Slot slot = Slot::holding(offset, len, mask);
	if (slot.bytes() > bytes_)
		return BounceStatus::too_long;
	const BounceStatus status = take(lcore, slot);
	if (status != BounceStatus::ok)
		return status;
	const bool overwrite = (dir & kBounceOverwrite) != 0;
	fill(slot, va, len, overwrite);
	const uint64_t first = slot.iova + offset;
	SlotRecord &r = record_of(first);
	r.note(va, static_cast<uint32_t>(slot.granules), static_cast<uint16_t>(offset >> kBounceShift), slot.is_range());
	r.store_tag(BounceTag::mapped(first, len, dir & kBounceBidirectional));
	note_map(lcore, slot.bytes(), overwrite ? 0 : len);
	iova = first;
	return BounceStatus::ok;
}

// As long as chunks come to serve, by this thread or another, there may be a slot.
BounceStatus BounceSlots::take(unsigned lcore, Slot &slot)
{
	for (bool missed = false;; missed = true) {
		// Acquire pairs with begin_serving(): what came before this number is found.
		const uint64_t served = state_->served.load(std::memory_order_acquire);
		const Status status = slot.is_range() ? domain_.alloc_range(slot.asked_bytes(), slot.align, kNoLimit, slot.iova)
						      : domain_.alloc(lcore, slot.asked_bytes(), kNoLimit, slot.iova);
		if (status == Status::ok) [[likely]]
			return BounceStatus::ok;
		if (!missed)
			note_miss(slot.bytes());
		if (!take_standby() && served == state_->served.load(std::memory_order_acquire)) {
			state_->refused.fetch_add(1, std::memory_order_relaxed);
			return status == Status::again || can_grow() ? BounceStatus::again : BounceStatus::no_space;
		}
	}
}

void BounceSlots::note_miss(uint64_t slot_bytes)
{
	state_->misses.fetch_add(1, std::memory_order_relaxed);
	uint64_t wanted = state_->wanted_bytes.load(std::memory_order_relaxed);
	while (wanted < slot_bytes &&
	       !state_->wanted_bytes.compare_exchange_weak(wanted, slot_bytes, std::memory_order_relaxed))
		;
}

void BounceSlots::fill(const Slot &slot, std::byte *va, uint64_t len, bool overwrite)
{
	const uint64_t begin = slot.offset, end = slot.offset + len;
	for_each_piece(slot.iova, slot.bytes(), [&](std::byte *memory, uint64_t at, uint64_t n) {
		const uint64_t from = std::max(begin, at), to = std::max(from, std::min(end, at + n));
		pad_granules(&record_of(slot.iova + at), memory, n >> kBounceShift, from - at, to - at, overwrite);
		if (!overwrite)
			copy_into_slot(memory + (from - at), va + (from - begin), to - from);
	});
}

// ---- what is mapped ----

BounceStatus BounceSlots::unmap(unsigned lcore, uint64_t iova, uint64_t len, uint32_t dir, uint32_t flags)
{
	if (len == 0 || !known(dir) || flags > kBounceSkipCopy) [[unlikely]]
		return BounceStatus::invalid;
	if (iova - base_ >= bytes_) [[unlikely]]
		return BounceStatus::not_of_pool;
	SlotRecord &r = record_of(iova);
	const BounceTag tag = BounceTag::mapped(iova, len, dir);
	if (r.load_tag() != tag || len > bytes_) [[unlikely]]
		return why_not(iova, dir);

	const uint64_t copied = dir == kBounceToDevice || flags != 0 ? 0 : len;
	const bool plain = r.granules == 1 && !r.range;
	if (plain) [[likely]] {
		copy_out_of_slot(r.va, memory_of(iova), copied);
	} else {
		for_each_piece(iova, copied, [&](const std::byte *memory, uint64_t at, uint64_t n) {
			copy_out_of_slot(r.va + at, memory, n);
		});
	}
	note_unmap(lcore, r.slot_bytes(), copied);
	r.store_tag(tag.unmapped());
	// From here on the record is the next owner's.
	if (!plain || !iovad_hot_free(&domain_.hot(), lcore, iova & ~(kBounceGranule - 1), kBounceGranule)) [[unlikely]]
		free_slot(lcore, iova, r);
	return BounceStatus::ok;
}

// What it says of the slot is read before that is given back.
void BounceSlots::free_slot(unsigned lcore, uint64_t iova, const SlotRecord &r)
{
	const uint64_t slot = (iova & ~(kBounceGranule - 1)) - r.lead * kBounceGranule;
	const uint64_t len = r.granules * kBounceGranule;
	if (r.range)
		domain_.free_range(slot, len);
	else
		domain_.free(lcore, slot, len);
}

// The record of a mapping of which [off, off + len) is a part; null: status says why not.
const SlotRecord *BounceSlots::find(uint64_t iova, uint64_t off, uint64_t len, uint32_t dir, BounceStatus &status)
{
	status = BounceStatus::invalid;
	if (len == 0 || !known(dir))
		return nullptr;
	status = BounceStatus::not_of_pool;
	if (iova - base_ >= bytes_)
		return nullptr;
	const SlotRecord &r = record_of(iova);
	const BounceTag tag = r.load_tag();
	if (!tag.same_place(BounceTag::mapped(iova, 0, dir))) {
		status = why_not(iova, dir);
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
	if (!r || dir == kBounceToDevice)
		return status;
	for_each_piece(iova + off, len, [&](const std::byte *memory, uint64_t at, uint64_t n) {
		copy_out_of_slot(r->va + off + at, memory, n);
	});
	add(lcore, counters_[lcore + 1].copied_out, len);
	return status;
}

BounceStatus BounceSlots::sync_for_device(unsigned lcore, uint64_t iova, uint64_t off, uint64_t len, uint32_t dir)
{
	BounceStatus status;
	const SlotRecord *r = find(iova, off, len, dir, status);
	if (!r || dir == kBounceFromDevice)
		return status;
	for_each_piece(iova + off, len, [&](std::byte *memory, uint64_t at, uint64_t n) {
		copy_into_slot(memory, r->va + off + at, n);
	});
	add(lcore, counters_[lcore + 1].copied_in, len);
	return status;
}

// iova, in the window, is not the first byte of a mapping in this direction, or not of that length.
BounceStatus BounceSlots::why_not(uint64_t iova, uint32_t dir)
{
	const BounceTag tag = record_of(iova).load_tag();
	const bool first_byte = tag.offset() == (iova & (kBounceGranule - 1));
	if (tag.is_mapped() && first_byte)
		return tag.dir() == dir ? BounceStatus::wrong_length : BounceStatus::wrong_direction;
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
