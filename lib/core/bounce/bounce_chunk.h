// SPDX-License-Identifier: BSD-3-Clause
// A chunk is 2 MiB of a pool's window. What is known of each of its granules lies beside its
// memory, not in it: the device can write that.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "core/range_tree/range_tree.h"
#include "core/relaxed.h"
#include "core/size_class.h"

namespace iovad::core {

inline constexpr uint64_t kBounceGranule = 2048;
inline constexpr unsigned kBounceShift = 11;
inline constexpr uint64_t kChunkBytes = uint64_t{1} << 21;
inline constexpr unsigned kChunkShift = 21;
inline constexpr uint64_t kChunkGranules = kChunkBytes / kBounceGranule;

// What is mapped where: the mapping's length, the place of its first byte in its granule, its
// direction and a state, in one word, so that an unmap compares once. 0: nothing ever was.
class BounceTag {
public:
	static constexpr uint64_t kMostLen = (uint64_t{1} << 48) - 1;

	constexpr BounceTag() = default;
	explicit constexpr BounceTag(uint64_t word) : word_(word) {}
	// Plain: in one granule, a block of the slot space, as most are.
	static constexpr BounceTag mapped(uint64_t iova, uint64_t len, uint64_t dir, bool plain)
	{
		return BounceTag(len << 16 | (iova & (kBounceGranule - 1)) << 4 | dir << 2 | (plain ? kPlain : kOther));
	}
	constexpr BounceTag unmapped() const { return BounceTag((word_ & ~uint64_t{3}) | kUnmapped); }

	constexpr bool is_mapped() const { return (word_ & kMapped) != 0; }
	constexpr bool is_unmapped() const { return (word_ & 3) == kUnmapped; }
	constexpr bool is_plain() const { return (word_ & 3) == kPlain; }
	constexpr uint64_t word() const { return word_; }
	constexpr uint64_t len() const { return word_ >> 16; }
	constexpr uint64_t dir() const { return word_ >> 2 & 3; }
	constexpr uint64_t offset() const { return word_ >> 4 & (kBounceGranule - 1); }
	constexpr bool operator==(const BounceTag &) const = default;

private:
	static constexpr uint64_t kMapped = 1, kPlain = 1, kOther = 3, kUnmapped = 2;

	uint64_t word_ = 0;
};

// Of one granule. `tag` to `range` are of the mapping whose first byte lies in the granule; the
// other granules of a slot keep what they had, which is never "mapped". A line of its own: two
// lcores may have neighbours.
struct alignas(64) SlotRecord {
	// Where the granule's bytes may be other than zero: [from, to).
	struct Dirty {
		uint16_t from, to;
		constexpr bool operator==(Dirty other) const
		{
			return std::bit_cast<uint32_t>(*this) == std::bit_cast<uint32_t>(other);
		}
	};

	uint64_t tag;       // a BounceTag; others may look at it, see BounceSlots::why_not()
	std::byte *va;      // the caller's
	uint32_t granules;  // asked of the slot space; this and the next two: unless plain
	uint16_t lead;      // granules from the slot's first to this one
	bool range;         // of the slot space: a range, or a block
	Dirty dirty;
	std::byte *memory;  // of the granule

	BounceTag load_tag() const { return BounceTag(load_relaxed(tag)); }
	void store_tag(BounceTag t) { store_relaxed(tag, t.word()); }
	std::byte *load_va() const { return load_relaxed(va); }
	// Bytes of the slot space that the mapping has.
	uint64_t slot_bytes() const
	{
		if (load_tag().is_plain())
			return kBounceGranule;
		return (range ? granules : block_of(granules)) * kBounceGranule;
	}
};

// Stays once it is there, so that a wrong use of addresses that have gone never reads freed memory.
struct ChunkRecords {
	// Whatever is mapped where, the slot space does not run out of nodes. One may be lost, see NodePool::add().
	static constexpr uint64_t kNodes = RangeTree::more_nodes_for(kChunkGranules) + 1;

	SlotRecord granule[kChunkGranules];
	std::byte nodes[kNodes * kNodeBytes];
};

enum class ChunkState : uint8_t {
	absent,
	standby,    // there, and its granules still reserved in the slot space
	serving,
	transient,  // serving, since a map missed
};

// What a chunk that serves holds.
enum class ChunkUse {
	free,  // nothing
	idle,  // slots that caches of lcores hold
	busy,  // slots that are mapped, or just on their way
};

}  // namespace iovad::core
