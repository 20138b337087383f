// SPDX-License-Identifier: BSD-3-Clause
// The node kernels with AVX2: see kernels_portable.h for what each means. All lanes of
// a node are computed, whatever n is, and clipped afterwards: a loop over n would
// mispredict. Lanes at and beyond n hold garbage.
#pragma once

#include <immintrin.h>

#include "core/range_tree/kernels_portable.h"

namespace iovad::core {

struct Avx2Kernels {
	static unsigned rank(const Leaf &leaf, int32_t key)
	{
		const __m256i k = splat32(static_cast<uint32_t>(key));
		uint64_t above = 0;
		for (unsigned i = 0; i < 64; i += 8)
			above |= lanes32(_mm256_cmpgt_epi32(load(leaf.key + i), k)) << i;
		return static_cast<unsigned>(std::popcount(~(above | 1) & below(leaf.n)));
	}

	static unsigned child_of(const Inner &node, Pfn pfn)
	{
		const __m256i k = splat(pfn);
		uint64_t above = 0;
		for (unsigned i = 0; i < Inner::kCapacity; i += 4)
			above |= lanes(_mm256_cmpgt_epi64(load(node.key + i), k)) << i;
		return static_cast<unsigned>(std::popcount(~(above | 1) & below(node.n)));
	}

	static uint32_t candidates(const Inner &node, Summary least)
	{
		// x >= y for unsigned lanes: max(x, y) == x.
		const __m256i l = splat(std::bit_cast<uint64_t>(least));
		uint64_t covers = 0;
		for (unsigned i = 0; i < Inner::kCapacity; i += 4) {
			const __m256i child = load(node.below + i);
			covers |= lanes(_mm256_cmpeq_epi64(_mm256_max_epu32(child, l), child)) << i;
		}
		return static_cast<uint32_t>(covers & below(node.n));
	}

	static int highest_fit(const Leaf &leaf, const LeafRequest &r)
	{
		const __m256i end = _mm256_set1_epi32(r.end), size = _mm256_set1_epi32(r.size);
		const __m256i mask = _mm256_set1_epi32(r.align_mask);
		uint64_t fit = 0;
		for (unsigned i = 0; i < 64; i += 8) {
			const __m256i s = load(leaf.key + i);
			const __m256i next = i < 56 ? load(leaf.key + i + 1) : shift(s, 1);
			const __m256i e = _mm256_min_epi32(next, end);
			const __m256i p = _mm256_and_si256(_mm256_sub_epi32(e, size), mask);
			fit |= lanes32(_mm256_andnot_si256(_mm256_cmpgt_epi32(s, p), gaps(s))) << i;
		}
		return 63 - std::countl_zero(fit & below(leaf.n));
	}

	static Summary summarize(const Leaf &leaf, unsigned skip)
	{
		// natural_capacity() of the lanes, but the top bit is taken of the maximum. What
		// follows a gap may have a value: it falls below the granule in the end.
		const __m256i n = splat32(leaf.n), skipped = splat32(skip);
		const Pairs pairs(leaf);
		__m256i odd = _mm256_setr_epi32(1, 33, 3, 35, 5, 37, 7, 39);
		__m256i gap = _mm256_setzero_si256(), natural = gap, under_block = gap;
		for (unsigned i = 0; i < 4; ++i) {
			const __m256i across = _mm256_permute2x128_si256(pairs.even[i], pairs.even[i + 1], 0x21);
			const __m256i next = _mm256_alignr_epi8(across, pairs.even[i], 8);
			const __m256i even = gaps(pairs.even[i]);
			const __m256i s = _mm256_blendv_epi8(pairs.odd[i], pairs.even[i], even);
			const __m256i e = _mm256_blendv_epi8(next, pairs.odd[i], even);
			const __m256i index = _mm256_add_epi32(odd, even);
			const __m256i use = _mm256_andnot_si256(
				_mm256_cmpeq_epi32(index, skipped),
				_mm256_and_si256(gaps(s), _mm256_cmpgt_epi32(n, index)));
			const __m256i high = from_top_bit(_mm256_xor_si256(s, e));
			const __m256i length = _mm256_and_si256(_mm256_sub_epi32(e, s), use);
			const __m256i part = _mm256_andnot_si256(high, _mm256_and_si256(e, use));
			const __m256i whole = _mm256_cmpeq_epi32(_mm256_andnot_si256(high, s), _mm256_setzero_si256());
			gap = _mm256_max_epi32(gap, length);
			natural = _mm256_max_epi32(natural, _mm256_blendv_epi8(part, length, whole));
			under_block = _mm256_max_epi32(under_block, _mm256_andnot_si256(_mm256_or_si256(s, high), use));
			odd = _mm256_add_epi32(odd, splat32(8));
		}
		// Without a gap the block comes to 1, less than a granule.
		const Key block = std::bit_floor(max_u32(under_block) + 1), rest = max_u32(natural);
		return {max_u32(gap) >> kValueBits, (block > rest ? block : rest) >> kValueBits};
	}

	static Summary summarize(const Inner &node, unsigned c, Summary s)
	{
		const __m256i n = splat(node.n), skipped = splat(c);
		__m256i all = splat(std::bit_cast<uint64_t>(s));
		__m256i index = _mm256_setr_epi64x(0, 1, 2, 3);
		for (unsigned i = 0; i < Inner::kCapacity; i += 4) {
			const __m256i use = _mm256_andnot_si256(_mm256_cmpeq_epi64(index, skipped),
								_mm256_cmpgt_epi64(n, index));
			all = _mm256_max_epu32(all, _mm256_and_si256(load(node.below + i), use));
			index = _mm256_add_epi64(index, splat(4));
		}
		const __m128i two = _mm_max_epu32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
		const __m128i one = _mm_max_epu32(two, _mm_shuffle_epi32(two, 0x4e));
		return std::bit_cast<Summary>(_mm_cvtsi128_si64(one));
	}

	// Every vector is stored, changed or not: memmove() would mispredict the length. What
	// follows the keys goes with the last one and is written again.
	static void open(Leaf &leaf, unsigned at, unsigned by)
	{
		const unsigned n = leaf.n + by;
		const __m256i stay = splat32(at + by - 1);
		for (unsigned i = 56; i > 0; i -= 8)
			store(leaf, i, load(leaf.key + i - by), stay);
		store(leaf, 0, shift(load(leaf.key), -by), stay);
		leaf.n = n;
	}

	static void close(Leaf &leaf, unsigned at, unsigned by)
	{
		const unsigned n = leaf.n - by;
		const __m256i stay = splat32(at - 1);
		for (unsigned i = 0; i < 56; i += 8)
			store(leaf, i, load(leaf.key + i + by), stay);
		store(leaf, 56, shift(load(leaf.key + 56), by), stay);
		leaf.n = n;
	}

private:
	// A leaf is read as eight vectors, with what follows the keys.
	static_assert(sizeof(Leaf) == 8 * sizeof(__m256i));
	static constexpr int kBehindKeys = 0xff & (0xff << (Leaf::kCapacity + 1 - 56));  // lanes of the last one

	// In the vector that begins with key i, keys up to number `stay` stay, the others move.
	static void store(Leaf &leaf, unsigned i, __m256i moved, __m256i stay)
	{
		const __m256i index = _mm256_add_epi32(iota(), splat32(i));
		__m256i moves = _mm256_cmpgt_epi32(index, stay);
		if (i == 56)
			moves = _mm256_blend_epi32(moves, _mm256_setzero_si256(), kBehindKeys);
		_mm256_store_si256(reinterpret_cast<__m256i *>(leaf.key + i),
				   _mm256_blendv_epi8(load(leaf.key + i), moved, moves));
	}

	// What a load from `by` keys on would read, but for the lanes that come from elsewhere.
	static __m256i shift(__m256i keys, unsigned by)
	{
		return _mm256_permutevar8x32_epi32(keys, _mm256_add_epi32(iota(), splat32(by)));
	}
	static __m256i iota() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }

	static __m256i load(const void *p) { return _mm256_loadu_si256(static_cast<const __m256i *>(p)); }
	static __m256i splat(uint64_t v) { return _mm256_set1_epi64x(static_cast<long long>(v)); }
	static __m256i splat32(uint32_t v) { return _mm256_set1_epi32(static_cast<int>(v)); }
	static uint64_t below(unsigned n) { return (uint64_t{1} << n) - 1; }
	static uint64_t lanes(__m256i v)
	{
		return static_cast<uint64_t>(_mm256_movemask_pd(_mm256_castsi256_pd(v)));
	}
	static uint64_t lanes32(__m256i v)
	{
		return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(v)));
	}

	// All ones where the extent is a gap.
	static __m256i gaps(__m256i s)
	{
		return _mm256_cmpeq_epi32(_mm256_and_si256(s, splat32(kValueMask)), _mm256_setzero_si256());
	}

	// The extents of a leaf in pairs. Of 2j and 2j + 1 one at most is a gap, so that one
	// lane serves both. Even lanes have pairs of the lower half of the leaf, odd lanes
	// those of the upper half.
	struct Pairs {
		__m256i even[5], odd[4];

		explicit Pairs(const Leaf &leaf)
		{
			for (unsigned i = 0; i < 4; ++i) {
				const __m256i a = load(leaf.key + 8 * i), b = load(leaf.key + 32 + 8 * i);
				even[i] = _mm256_blend_epi32(a, _mm256_slli_epi64(b, 32), 0xaa);
				odd[i] = _mm256_blend_epi32(_mm256_srli_epi64(a, 32), b, 0xaa);
			}
			// What follows the lower half; nothing follows the upper one.
			even[4] = _mm256_srli_epi64(even[0], 32);
		}
	};

	// The top bit and all above it set: it is the exponent of the lane as a floating-point number.
	// Without the second bit no mode of rounding comes to another exponent. May raise the flag of
	// inexact results, as most arithmetic does.
	static __m256i from_top_bit(__m256i x)
	{
		const __m256i top = _mm256_andnot_si256(_mm256_srli_epi32(x, 1), x);
		const __m256i exponent = _mm256_srli_epi32(_mm256_castps_si256(_mm256_cvtepi32_ps(top)), 23);
		return _mm256_sllv_epi32(splat32(~0u), _mm256_sub_epi32(exponent, splat32(127)));
	}

	static uint32_t max_u32(__m256i v)
	{
		__m128i x = _mm_max_epu32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
		x = _mm_max_epu32(x, _mm_shuffle_epi32(x, 0x4e));
		x = _mm_max_epu32(x, _mm_shuffle_epi32(x, 0xb1));
		return static_cast<uint32_t>(_mm_cvtsi128_si32(x));
	}
};

}  // namespace iovad::core
