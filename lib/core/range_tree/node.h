// SPDX-License-Identifier: BSD-3-Clause
// The nodes of the range tree and the encoding of what they hold.
//
// The tree cuts its space into extents: ranges with a value and the gaps between
// them. A leaf holds the boundaries in ascending order. A key is the first granule
// of an extent and its value, 0 for a gap; an extent ends where the next begins, so
// a range costs one key where it touches the next one and two where a gap follows.
//
//   leaf    key[0] .. key[n-1], and key[n]: where the next leaf begins
//   inner   per child: its first granule, the largest gap and the largest order below
//
// Invariants (RangeTree::verify() recomputes them all):
//   keys ascend; gaps are maximal: two never touch, across leaves neither;
//   key[n] of a leaf = the start of the next one = its separator in the parents;
//   inner.gap[c], inner.order[c] = the maxima over all gaps below child c.
// The key of child 0 of an inner node is never read and may be stale.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace iovad::core {

using Pfn = uint64_t;      // number of a granule
using Value = uint16_t;    // of an extent, below 2^kValueBits; 0 = a gap
using NodeRef = uint32_t;  // index in the node pool

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

// What an inner node knows of the gaps below a child. order is stored + 1, so that 0
// says "no gap"; gap saturates.
struct Summary {
	uint32_t gap = 0;
	uint32_t order = 0;

	friend bool operator==(const Summary &, const Summary &) = default;
	bool covers(const Summary &other) const { return gap >= other.gap && order >= other.order; }
	void raise(const Summary &other)
	{
		gap = gap < other.gap ? other.gap : gap;
		order = order < other.order ? other.order : order;
	}
};

constexpr uint32_t saturate(uint64_t granules)
{
	return granules < UINT32_MAX ? static_cast<uint32_t>(granules) : UINT32_MAX;
}

// Stored order of a bit set that has a bit k + kValueBits for a block of order k.
constexpr uint32_t stored_order(uint64_t blocks)
{
	return blocks ? static_cast<uint32_t>(std::bit_width(blocks)) - kValueBits : 0;
}

// The aligned blocks in the gap [s, e), both as keys without value: let M be the most
// aligned boundary in (s, e]; blocks below it end there and those above start there,
// so the largest of each side is the top bit of its length.
constexpr uint64_t aligned_blocks(uint64_t s, uint64_t e)
{
	const unsigned top = 63 - static_cast<unsigned>(std::countl_zero((s ^ e) | 1));
	const uint64_t m = e >> top << top;
	return (m - s) | (e - m);
}

constexpr Summary summary_of_gap(uint64_t s, uint64_t e)
{
	if (s == e)
		return {};
	return {saturate(pfn_of(e - s)), stored_order(aligned_blocks(s, e))};
}

struct alignas(64) Leaf {
	static constexpr unsigned kCapacity = 62;

	uint64_t key[kCapacity + 1];  // key[n] is the start of the next leaf
	uint32_t n;
};

struct alignas(64) Inner {
	static constexpr unsigned kCapacity = 28;

	uint64_t key[kCapacity];
	uint32_t gap[kCapacity];
	NodeRef child[kCapacity];
	uint8_t order[32];  // 28 used; the vector kernels read all 32
	uint32_t n;

	Summary summary(unsigned c) const { return {gap[c], order[c]}; }
	void set_summary(unsigned c, Summary s)
	{
		gap[c] = s.gap;
		order[c] = static_cast<uint8_t>(s.order);
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
