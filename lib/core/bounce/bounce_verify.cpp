// SPDX-License-Identifier: BSD-3-Clause
// Everything that is known of slots, recomputed.
#include <cinttypes>
#include <cstring>

#include "core/bounce/bounce_slots.h"

namespace iovad::core {

class BounceSlots::Verifier {
public:
	Verifier(BounceSlots &slots, FILE *why) : slots_(slots), state_(*slots.state_), why_(why) {}

	bool run()
	{
		expect(slots_.domain_.verify(why_), "the slot space is not sound", 0);
		for (unsigned index = 0; index < slots_.chunks(); ++index)
			chunk(index);
		totals();
		return good_;
	}

private:
	void expect(bool holds, const char *what, uint64_t iova)
	{
		if (holds)
			return;
		good_ = false;
		if (why_)
			std::fprintf(why_, "bounce: %s at %" PRIx64 "\n", what, iova);
	}

	void chunk(unsigned index)
	{
		const ChunkState state = state_.chunks[index];
		const bool serves = state == ChunkState::serving || state == ChunkState::transient;
		const uint64_t first = slots_.chunk_iova(index);
		serving_ += serves;
		transient_ += state == ChunkState::transient;
		standby_ += state == ChunkState::standby;
		expect((slots_.chunk_va(index) != nullptr) == (state != ChunkState::absent), "memory is not as the state", first);
		for (uint64_t offset = 0; offset < kChunkBytes; offset += kBounceGranule) {
			const uint64_t iova = first + offset;
			const Extent e = slots_.domain_.find(iova);
			expect((e.value == kReserved) == !serves, "reserved, and it serves, or not, and does not", iova);
			const SlotRecord &r = slots_.record_of(iova);
			if (r.load_tag().is_mapped())
				mapping(r, iova, e);
			if (state != ChunkState::absent)
				padding(r, iova);
		}
	}

	void mapping(const SlotRecord &r, uint64_t granule, const Extent &e)
	{
		const BounceTag tag = r.load_tag();
		const bool range = !tag.is_plain() && r.range;
		const Pfn slot = (granule >> kBounceShift) - (tag.is_plain() ? 0 : r.lead);
		const bool block = !range && state_.config.cached;
		expect(e == Extent{slot, slot + r.slot_bytes() / kBounceGranule, block ? kBlock : kLive},
		       "a mapping is not what the slot space has", granule);
		expect(known(static_cast<uint32_t>(tag.dir())) && r.va != nullptr && tag.len() != 0 &&
			       granule + tag.offset() + tag.len() - 1 <= (e.end << kBounceShift) - 1,
		       "a mapping is not inside its slot", granule);
		expect(e.start >= next_slot_, "two mappings in a slot", granule);
		next_slot_ = e.end;
		++mappings_;
		mapped_bytes_ += r.slot_bytes();
	}

	void padding(const SlotRecord &r, uint64_t granule)
	{
		const std::byte *memory = slots_.memory_of(granule);
		expect(r.memory == memory, "a record has other memory than the chunk", granule);
		const bool noted = r.dirty.from <= r.dirty.to && r.dirty.to <= kBounceGranule;
		expect(noted, "what is not zero is noted wrongly", granule);
		if (!noted)
			return;
		static constexpr std::byte kZero[kBounceGranule] = {};
		expect(std::memcmp(memory, kZero, r.dirty.from) == 0 &&
			       std::memcmp(memory + r.dirty.to, kZero, kBounceGranule - r.dirty.to) == 0,
		       "padding is not zero", granule);
	}

	void totals()
	{
		const BounceStats s = slots_.stats();
		const DomainStats d = slots_.domain_.stats();
		expect(serving_ == state_.serving && transient_ == state_.transient && standby_ == state_.standby,
		       "chunks are not what was counted", 0);
		expect(mappings_ == s.maps - s.unmaps && mapped_bytes_ == s.used_bytes, "mappings are not what was counted", 0);
		// A slot that is neither mapped nor in a cache is lost; one that is both is not counted as live.
		expect(mappings_ == d.live_ranges && mapped_bytes_ == d.live_granules * kBounceGranule,
		       "slots out of the free space are not those that are mapped", 0);
		expect(d.bad_frees == 0, "slots were given back that were not taken", 0);
		expect(s.hiwater_bytes >= s.out_bytes && s.out_bytes >= s.used_bytes, "the most that was out is wrong", 0);
	}

	BounceSlots &slots_;
	const BounceState &state_;
	FILE *why_;
	bool good_ = true;
	uint64_t serving_ = 0, transient_ = 0, standby_ = 0;
	uint64_t mappings_ = 0, mapped_bytes_ = 0;
	Pfn next_slot_ = 0;
};

bool BounceSlots::verify(FILE *why) { return Verifier(*this, why).run(); }

}  // namespace iovad::core
