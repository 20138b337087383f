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
// The natural capacity of a gap is the largest n such that n granules, aligned to the
// next power of two of n, fit in it. It is monotone: what fits n that way fits every
// smaller request too. So "some gap below has capacity >= n" is an exact test for a
// naturally aligned request of any length n, where the largest order (the capacity
// rounded down to a power of two) would be one for powers of two only.
//
// Invariants (RangeTree::verify() recomputes them all):
//   keys ascend; gaps are maximal: two never touch, across leaves neither;
//   key[n] of a leaf = the start of the next one = its separator in the parents;
//   inner.gap[c], inner.natural[c] = the maxima over all gaps below child c.
// The key of child 0 of an inner node is never read and may be stale.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace iovad::core {

using Pfn = uint64_t;      // number of a granule
using Value = uint16_t;    // of an extent, below 2^kValueBits; 0 = a gap
using NodeRef = int32_t;   // distance from the first node of the pool, in nodes

// 52 bits of granule number (64-bit addresses, 4 KiB granules) and one more for the
// end of the space; with 10 bits of value a key stays below 2^63, so that signed
// vector compares, the only ones AVX2 has, order keys.
inline constexpr unsigned kValueBits = 10;
inline constexpr uint64_t kValueMask = (uint64_t{1} << kValueBits) - 1;
inline constexpr Pfn kMaxPfn = Pfn{1} << 52;

constexpr uint64_t key_of(Pfn pfn, Value value = 0) { return pfn << kValueBits | value; }
constexpr Pfn pfn_of(uint64_t key) { return key >> kValueBits; }
constexpr Value value_of(uint64_t key) { return static_cast<Value>(key & kValueMask); }
constexpr uint64_t start_of(uint64_t key) { return key & ~kValueMask; }

// What an inner node knows of the gaps below a child, in granules, saturating.
struct Summary {
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

// The natural capacity of the gap [s, e), s < e, all as keys; e may have a value. Let 2^k
// be the top bit in which s and e differ, and m the multiple of 2^k in (s, e]. What begins
// at m may be as long as the gap goes on, e - m < 2^k. What lies below m ends at m at most
// and fits with all of its aligned block, the largest of which is the top bit of m - s.
// What crosses m has to begin at a multiple of 2^(k+1), which s is or none in the gap.
constexpr uint64_t natural_capacity(uint64_t s, uint64_t e)
{
	const uint64_t low = ~uint64_t{0} >> 1 >> std::countl_zero(s ^ e);  // 2^k - 1
	const uint64_t after = e & low;                                     // e - m
	const uint64_t block = std::bit_floor((~s & low) + 1);              // of m - s
	const uint64_t whole = (s & low) == 0 ? e - s : 0;
	const uint64_t part = after > block ? after : block;
	return whole > part ? whole : part;
}

constexpr Summary summary_of_gap(uint64_t s, uint64_t e)
{
	if (s == e)
		return {};
	return {saturate(pfn_of(e - s)), saturate(pfn_of(natural_capacity(s, e)))};
}

struct alignas(64) Leaf {
	static constexpr unsigned kCapacity = 62;
	static constexpr unsigned kSmall = 26;  // with fewer keys it looks for a neighbour to merge with

	uint64_t key[kCapacity + 1];  // key[n] is the start of the next leaf
	uint32_t n;
};

struct alignas(64) Inner {
	static constexpr unsigned kCapacity = 24;
	static constexpr unsigned kSmall = 10;

	uint64_t key[kCapacity];
	uint32_t gap[kCapacity];
	uint32_t natural[kCapacity];
	NodeRef child[kCapacity];
	uint32_t n;

	Summary summary(unsigned c) const { return {gap[c], natural[c]}; }
	void set_summary(unsigned c, Summary s)
	{
		gap[c] = s.gap;
		natural[c] = s.natural;
	}
};

inline constexpr size_t kNodeBytes = 512;
static_assert(sizeof(Leaf) == kNodeBytes && sizeof(Inner) == kNodeBytes);

// What a search wants, as keys: the highest p with p a multiple of the alignment,
// [p, p + size) inside one gap and at or below end.
struct Request {
	uint64_t size;
	uint64_t align_mask;
	uint64_t end;
	Summary least;  // no child with less than this can hold it
};

}  // namespace iovad::core
