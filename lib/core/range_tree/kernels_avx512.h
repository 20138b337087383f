// SPDX-License-Identifier: BSD-3-Clause
// The node kernels with AVX-512 (F, CD, BW, VL): see kernels_portable.h for what each
// means. All lanes are computed, whatever n is, and clipped afterwards: a loop over n
// would mispredict.
#pragma once

#include <immintrin.h>

#include "core/range_tree/kernels_portable.h"

namespace iovad::core {

struct Avx512Kernels {
	static unsigned rank(const Leaf &leaf, int32_t key)
	{
		const __m512i k = splat32(key);
		uint64_t le = 0;
		for (unsigned i = 0; i < 64; i += 16)
			le |= uint64_t{bits16(_mm512_cmple_epi32_mask(load(leaf.key + i), k))} << i;
		return static_cast<unsigned>(std::popcount(le & below(leaf.n) & ~uint64_t{1}));
	}

	static unsigned child_of(const Inner &node, Pfn pfn)
	{
		const __m512i k = splat(pfn);
		uint64_t le = 0;
		for (unsigned i = 0; i < Inner::kCapacity; i += 8)
			le |= bits(_mm512_cmple_epi64_mask(load(node.key + i), k)) << i;
		return static_cast<unsigned>(std::popcount(le & (below(node.n) & ~uint64_t{1})));
	}

	static uint32_t candidates(const Inner &node, Summary least)
	{
		const __m512i l = splat(std::bit_cast<uint64_t>(least));
		uint64_t covers = 0;
		for (unsigned i = 0; i < Inner::kCapacity; i += 8) {
			const __m512i lanes = load(node.below + i);
			covers |= bits(_mm512_cmpeq_epi64_mask(_mm512_max_epu32(lanes, l), lanes)) << i;
		}
		return static_cast<uint32_t>(covers & below(node.n));
	}

	static int highest_fit(const Leaf &leaf, const LeafRequest &r)
	{
		const __m512i end = splat32(r.end), size = splat32(r.size), mask = splat32(r.align_mask);
		const __m512i value_bits = splat32(kValueMask);
		uint64_t fit = 0;
		__m512i s = load(leaf.key);
		for (unsigned i = 0; i < 64; i += 16) {
			const __m512i after = i < 48 ? load(leaf.key + i + 16) : s;
			const __m512i next = _mm512_alignr_epi32(after, s, 1);
			const __m512i e = _mm512_min_epi32(next, end);
			const __m512i p = _mm512_and_si512(_mm512_sub_epi32(e, size), mask);
			const __mmask16 gaps = _mm512_testn_epi32_mask(s, value_bits);
			fit |= uint64_t{bits16(_mm512_mask_cmpge_epi32_mask(gaps, p, s))} << i;
			s = after;
		}
		return 63 - std::countl_zero(fit & below(leaf.n));
	}

	[[gnu::always_inline]] static Summary summarize(const Leaf &leaf, unsigned skip)
	{
		// natural_capacity() of the lanes, but the top bit is taken of the maximum. What
		// follows a gap may have a value: it falls below the granule in the end.
		const uint64_t use = below(leaf.n);
		const auto lo = static_cast<uint32_t>(use), hi = static_cast<uint32_t>(use >> 32);
		const uint32_t evens = (lo & kEven) | (hi & kEven) << 1;
		const uint32_t odds = (lo & ~kEven) >> 1 | (hi & ~kEven);
		const uint32_t skipped = uint32_t{1} << ((skip & 30) | skip >> 5);
		const __m512i value_bits = splat32(kValueMask), half = splat32(INT32_MAX);
		__m512i gap = _mm512_setzero_si512(), natural = gap, under_block = gap;
		const Pairs pairs(leaf);
		for (unsigned i = 0; i < 2; ++i) {
			const __m512i next = _mm512_alignr_epi32(pairs.even[i + 1], pairs.even[i], 2);
			const __mmask16 even = _mm512_mask_testn_epi32_mask(
				static_cast<__mmask16>(evens >> 16 * i), pairs.even[i], value_bits);
			const __mmask16 odd = _mm512_mask_testn_epi32_mask(
				static_cast<__mmask16>(odds >> 16 * i), pairs.odd[i], value_bits);
			// Late, because what is skipped is known last.
			const auto gaps = static_cast<__mmask16>((even | odd) & ~(skipped >> 16 * i));
			const __m512i s = _mm512_mask_mov_epi32(pairs.odd[i], even, pairs.even[i]);
			const __m512i e = _mm512_mask_mov_epi32(next, even, pairs.odd[i]);
			const __m512i low = _mm512_srlv_epi32(half, _mm512_lzcnt_epi32(_mm512_xor_si512(s, e)));
			const __m512i length = _mm512_sub_epi32(e, s), after = _mm512_and_si512(e, low);
			gap = _mm512_mask_max_epi32(gap, gaps, gap, length);
			natural = _mm512_mask_max_epi32(
				natural, gaps, natural,
				_mm512_mask_mov_epi32(after, _mm512_testn_epi32_mask(s, low), length));
			under_block = _mm512_mask_max_epi32(under_block, gaps, under_block,
							    _mm512_andnot_si512(s, low));
		}
		// Without a gap the block comes to 1, less than a granule.
		const __m512i most = _mm512_sub_epi32(under_block, splat32(-1));
		const __m512i block = _mm512_srlv_epi32(splat32(INT32_MIN), _mm512_lzcnt_epi32(most));
		natural = _mm512_max_epi32(natural, block);
		// The lanes of both beside each other, reduced together.
		const __m512i both = _mm512_max_epi32(_mm512_unpacklo_epi32(gap, natural),
						      _mm512_unpackhi_epi32(gap, natural));
		const __m256i four = _mm256_max_epi32(_mm512_castsi512_si256(both),
						      _mm512_extracti64x4_epi64(both, 1));
		const __m128i two = _mm_max_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
		const __m128i one = _mm_max_epi32(two, _mm_shuffle_epi32(two, 0x4e));
		return summary_of(_mm_srli_epi32(one, kValueBits));
	}

	static Summary summarize(const Inner &node, unsigned c, Summary s)
	{
		const uint64_t use = below(node.n) & ~(uint64_t{1} << c);
		__m512i all = _mm512_setzero_si512();
		for (unsigned i = 0; i < Inner::kCapacity; i += 8) {
			const auto lanes = static_cast<__mmask8>(use >> i);
			all = _mm512_max_epu32(all, _mm512_maskz_loadu_epi64(lanes, node.below + i));
		}
		const __m256i four = _mm256_max_epu32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
		const __m128i two = _mm_max_epu32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
		const __m128i one = _mm_max_epu32(two, _mm_shuffle_epi32(two, 0x4e));
		return summary_of(_mm_max_epu32(one, _mm_cvtsi64_si128(std::bit_cast<int64_t>(s))));
	}

	// Every vector is stored, changed or not: memmove() would mispredict the length. What
	// follows the keys goes with the last one and is written again.
	static void open(Leaf &leaf, unsigned at, unsigned by)
	{
		const unsigned n = leaf.n + by;
		const uint64_t moved = ~below(at + by) & kKeys;
		const __m512i from = _mm512_sub_epi32(iota(), splat32(static_cast<int32_t>(by)));
		__m512i before = _mm512_setzero_si512();
		for (unsigned i = 0; i < 64; i += 16) {
			const __m512i here = load(leaf.key + i);
			store(leaf.key + i, here, static_cast<__mmask16>(moved >> i),
			      _mm512_permutex2var_epi32(here, from, before));
			before = here;
		}
		leaf.n = n;
	}

	static void close(Leaf &leaf, unsigned at, unsigned by)
	{
		const unsigned n = leaf.n - by;
		const uint64_t moved = ~below(at) & kKeys;
		const __m512i from = _mm512_add_epi32(iota(), splat32(static_cast<int32_t>(by)));
		__m512i here = load(leaf.key);
		for (unsigned i = 0; i < 64; i += 16) {
			const __m512i after = i < 48 ? load(leaf.key + i + 16) : here;
			store(leaf.key + i, here, static_cast<__mmask16>(moved >> i),
			      _mm512_permutex2var_epi32(here, from, after));
			here = after;
		}
		leaf.n = n;
	}

private:
	// A leaf is read as four vectors, with what follows the keys.
	static constexpr uint64_t kKeys = (uint64_t{1} << (Leaf::kCapacity + 1)) - 1;
	static_assert(sizeof(Leaf) == 4 * sizeof(__m512i));

	// The extents of a leaf in pairs. Of 2j and 2j + 1 one at most is a gap, so that one
	// lane serves both. Even lanes have pairs of the lower half of the leaf, odd lanes
	// those of the upper half: lane b of all, counted through, has the extents b and b + 1,
	// or 32 + b - 1 and 32 + b.
	static constexpr uint32_t kEven = 0x55555555;

	struct Pairs {
		__m512i even[3], odd[2];

		explicit Pairs(const Leaf &leaf)
		{
			for (unsigned i = 0; i < 2; ++i) {
				const __m512i a = load(leaf.key + 16 * i), b = load(leaf.key + 32 + 16 * i);
				even[i] = _mm512_mask_mov_epi32(a, 0xaaaa, _mm512_slli_epi64(b, 32));
				odd[i] = _mm512_mask_mov_epi32(_mm512_srli_epi64(a, 32), 0xaaaa, b);
			}
			// What follows the lower half; nothing follows the upper one.
			even[2] = _mm512_srli_epi64(even[0], 32);
		}
	};

	// Masks become numbers here only. As an operation that the compiler knows, gcc 12 takes the
	// upper bits of a compare's mask for zero, may yet spill one byte of it, and load eight
	// (seen in builds with sanitizers, where registers are scarce; intrinsics do not help).
	static uint64_t bits(__mmask8 mask)
	{
		uint32_t number;
		asm("kmovb %1, %0" : "=r"(number) : "k"(mask));
		return number;
	}
	static uint32_t bits16(__mmask16 mask)
	{
		uint32_t number;
		asm("kmovw %1, %0" : "=r"(number) : "k"(mask));
		return number;
	}

	static __m512i iota() { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
	static __m512i load(const void *p) { return _mm512_loadu_si512(p); }
	static void store(Key *to, __m512i old, __mmask16 lanes, __m512i v)
	{
		_mm512_storeu_si512(to, _mm512_mask_mov_epi32(old, lanes, v));
	}
	static __m512i splat32(int32_t v) { return _mm512_set1_epi32(v); }
	static __m512i splat(uint64_t v) { return _mm512_set1_epi64(static_cast<long long>(v)); }
	static uint64_t below(unsigned n) { return (uint64_t{1} << n) - 1; }

	static Summary summary_of(__m128i v)
	{
		return std::bit_cast<Summary>(_mm_cvtsi128_si64(v));
	}
};

}  // namespace iovad::core
