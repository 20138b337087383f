// SPDX-License-Identifier: BSD-3-Clause
// The nodes of the range tree and the encoding of what they hold.
//
// The tree cuts its space into extents: ranges with a value and the gaps between
// them. A leaf holds the boundaries in ascending order. A key is the first granule
// of an extent and its value, 0 for a gap; an extent ends where the next begins, so
// a range costs one key where it touches the next one and two where a gap follows.
//
//   leaf    key[0] .. key[n-1], and key[n]: where the next leaf begins
//   inner   per child: its first granule, and the maxima over the gaps below of their
//           length and of their natural capacity
//
// Keys of a leaf have 32 bits, so that a vector holds many: granules are counted from the
// leaf's frame, the multiple of 2^27 (512 GiB of 4 KiB granules) below its end. Only the
// first extent may begin below the frame: its key says where the frame begins then, and
// `start` the truth. So an extent across the border of two frames is the first of its leaf.
//
// The natural capacity of a gap is the largest n such that n granules, aligned to the
// next power of two of n, fit in it. It is monotone: what fits n that way fits every
// smaller request too. So "some gap below has capacity >= n" is an exact test for a
// naturally aligned request of any length n, where the largest order (the capacity
// rounded down to a power of two) would be one for powers of two only.
//
// Invariants (RangeTree::verify() recomputes them all):
//   keys ascend; gaps are maximal: two never touch, across leaves neither;
//   key[n] of a leaf = the start of the next one = its separator in the parents;
//   all extents of a leaf but the first begin in its frame;
//   inner.below[c] = the maxima over all gaps below child c.
// The key of child 0 of an inner node is never read and may be stale.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace iovad::core {

using Pfn = uint64_t;      // number of a granule
using Value = uint16_t;    // of an extent, below 2^kValueBits; 0 = a gap
using NodeRef = int32_t;   // distance from the first node of the pool, in leaves

// 52 bits: of 64-bit addresses, with granules of 4 KiB.
inline constexpr Pfn kMaxPfn = Pfn{1} << 52;

// A key stays below 2^31, the end of the frame included: AVX2 compares signed numbers only.
using Key = uint32_t;
inline constexpr unsigned kValueBits = 3;
inline constexpr Key kValueMask = (Key{1} << kValueBits) - 1;
inline constexpr unsigned kFrameBits = 27;
inline constexpr Pfn kFrame = Pfn{1} << kFrameBits;

constexpr Pfn frame_of(Pfn pfn) { return pfn & ~(kFrame - 1); }
constexpr Pfn frame_below(Pfn end) { return frame_of(end - 1); }
constexpr Key key_of(Pfn offset, Value value = 0) { return static_cast<Key>(offset << kValueBits) | value; }
constexpr Pfn offset_of(Key key) { return key >> kValueBits; }
constexpr Value value_of(Key key) { return static_cast<Value>(key & kValueMask); }

// What an inner node knows of the gaps below a child, in granules, saturating.
struct alignas(8) Summary {
	uint32_t gap = 0;
	uint32_t natural = 0;

	friend bool operator==(const Summary &, const Summary &) = default;
	bool covers(const Summary &other) const { return gap >= other.gap && natural >= other.natural; }
	void raise(const Summary &other)
	{
		gap = gap < other.gap ? other.gap : gap;
		natural = natural < other.natural ? other.natural : natural;
	}
};

constexpr uint32_t saturate(uint64_t granules)
{
	return granules < UINT32_MAX ? static_cast<uint32_t>(granules) : UINT32_MAX;
}

// The natural capacity of the gap [s, e), s < e. Let 2^k be the top bit in which s and e
// differ, and m the multiple of 2^k in (s, e]. What begins at m may be as long as the gap
// goes on, e - m < 2^k. What lies below m ends at m at most and fits with all of its
// aligned block, the largest of which is the top bit of m - s.
// What crosses m has to begin at a multiple of 2^(k+1), which s is or none in the gap.
constexpr uint64_t natural_capacity(Pfn s, Pfn e)
{
	const uint64_t low = ~uint64_t{0} >> 1 >> std::countl_zero(s ^ e);  // 2^k - 1
	const uint64_t after = e & low;                                     // e - m
	const uint64_t block = std::bit_floor((~s & low) + 1);              // of m - s
	const uint64_t whole = (s & low) == 0 ? e - s : 0;
	const uint64_t part = after > block ? after : block;
	return whole > part ? whole : part;
}

constexpr Summary summary_of_gap(Pfn s, Pfn e)
{
	if (s == e)
		return {};
	return {saturate(e - s), saturate(natural_capacity(s, e))};
}

struct alignas(64) Leaf {
	static constexpr unsigned kCapacity = 57;
	static constexpr unsigned kSmall = 24;  // with fewer keys it looks for a neighbour to merge with

	Key key[kCapacity + 1];  // key[n] is the start of the next leaf
	Pfn frame;
	Pfn start;               // of the first extent
	uint32_t n;

	bool begins_below_frame() const { return start < frame; }
	Value value(unsigned i) const { return value_of(key[i]); }
	Pfn start_of(unsigned i) const { return i == 0 ? start : frame + offset_of(key[i]); }
	Pfn end_of(unsigned i) const { return frame + offset_of(key[i + 1]); }
	// Where pfn is or, if it lies below the frame, where that begins.
	Pfn offset(Pfn pfn) const { return pfn < frame ? 0 : pfn - frame; }
	void set_start(Pfn pfn, Value v)
	{
		start = pfn;
		key[0] = key_of(offset(pfn), v);
	}
	// One extent and nothing else.
	void set_only(Pfn s, Pfn e, Value v)
	{
		n = 1;
		frame = frame_below(e);
		set_start(s, v);
		key[1] = key_of(e - frame);
	}
};

struct alignas(64) Inner {
	static constexpr unsigned kCapacity = 24;
	static constexpr unsigned kSmall = 10;

	Pfn key[kCapacity];
	Summary below[kCapacity];
	NodeRef child[kCapacity];
	uint32_t n;
};

// What the pool is made of: room for one inner node or two leaves.
inline constexpr size_t kNodeBytes = 512;
static_assert(2 * sizeof(Leaf) == kNodeBytes && sizeof(Inner) == kNodeBytes);

// What a search wants: the highest p with p a multiple of the alignment, [p, p + size)
// inside one gap and at or below end.
struct Request {
	uint64_t size;
	uint64_t align_mask;
	Pfn end;
	Summary least;  // no child with less than this can hold it

	// The differences are signed: where end - size lies below zero nothing fits.
	bool fits(Pfn s, Pfn e) const { return static_cast<int64_t>(placed(e)) >= static_cast<int64_t>(s); }
	Pfn placed(Pfn e) const { return ((e < end ? e : end) - size) & align_mask; }
};

// The same in the keys of leaves with one frame. What begins below the frame is not found that way.
struct LeafRequest {
	Pfn frame;
	int32_t size;
	int32_t align_mask;
	int32_t end;

	LeafRequest(const Request &r, Pfn of) : frame(of)
	{
		// More than a frame fits nowhere, nor does what is aligned to more than the frame is.
		const bool never = r.size > kFrame || (frame & ~r.align_mask) != 0;
		size = static_cast<int32_t>(key_of(never ? 2 * kFrame - 1 : r.size));
		// What is negative stays so, however large the alignment.
		align_mask = static_cast<int32_t>(static_cast<Key>(r.align_mask << kValueBits)) | INT32_MIN;
		const Pfn below = r.end < frame ? 0 : r.end - frame;
		end = static_cast<int32_t>(key_of(below < kFrame ? below : kFrame));
	}
};

}  // namespace iovad::core
