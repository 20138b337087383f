// SPDX-License-Identifier: BSD-3-Clause
// The node kernels with AVX-512 (F, CD, BW, VL): see kernels_portable.h for what each
// means. All lanes are computed, whatever n is, and clipped afterwards: a loop over n
// would mispredict.
#pragma once

#include <immintrin.h>

#include "core/range_tree/kernels_portable.h"

namespace iovad::core {

struct Avx512Kernels {
	static unsigned rank(const Leaf &leaf, uint64_t key)
	{
		const __m512i k = splat(key);
		uint64_t le = 0;
		for (unsigned i = 0; i < 64; i += 8)
			le |= bits(_mm512_cmple_epi64_mask(load(leaf.key + i), k)) << i;
		return static_cast<unsigned>(std::popcount(le & below(leaf.n)));
	}

	static unsigned child_of(const Inner &node, uint64_t key)
	{
		const __m512i k = splat(key);
		uint64_t le = 0;
		for (unsigned i = 0; i < Inner::kCapacity; i += 8)
			le |= bits(_mm512_cmple_epi64_mask(load(node.key + i), k)) << i;
		return static_cast<unsigned>(std::popcount(le & (below(node.n) & ~uint64_t{1})));
	}

	static uint32_t candidates(const Inner &node, Summary least)
	{
		// Three lines, of which the middle one has the end of the gaps and the beginning of
		// the capacities.
		static_assert(offsetof(Inner, gap) % 64 == 0 && Inner::kCapacity == 24 &&
			      offsetof(Inner, natural) == offsetof(Inner, gap) + sizeof(Inner::gap));
		const auto *line = reinterpret_cast<const std::byte *>(&node) + offsetof(Inner, gap);
		const __m512i g = _mm512_set1_epi32(static_cast<int>(least.gap));
		const __m512i c = _mm512_set1_epi32(static_cast<int>(least.natural));
		const uint32_t first = bits16(_mm512_cmpge_epu32_mask(load(line), g));
		const uint32_t middle = bits16(
			_mm512_cmpge_epu32_mask(load(line + 64), _mm512_mask_mov_epi32(g, 0xff00, c)));
		const uint32_t last = bits16(_mm512_cmpge_epu32_mask(load(line + 128), c));
		return (first | middle << 16) & (middle >> 8 | last << 8) &
		       static_cast<uint32_t>(below(node.n));
	}

	static int highest_fit(const Leaf &leaf, const Request &r)
	{
		const __m512i end = splat(r.end), size = splat(r.size), mask = splat(r.align_mask);
		const __m512i value_bits = splat(kValueMask);
		uint64_t fit = 0;
		__m512i s = load(leaf.key);
		for (unsigned i = 0; i < 64; i += 8) {
			const __m512i after = i < 56 ? load(leaf.key + i + 8) : s;
			const __m512i next = _mm512_alignr_epi64(after, s, 1);
			const __m512i e = _mm512_min_epi64(next, end);
			const __m512i p = _mm512_and_si512(_mm512_sub_epi64(e, size), mask);
			const __mmask8 gaps = _mm512_testn_epi64_mask(s, value_bits);
			fit |= bits(_mm512_mask_cmpge_epi64_mask(gaps, p, s)) << i;
			s = after;
		}
		return 63 - std::countl_zero(fit & below(leaf.n));
	}

	static Summary summarize(const Leaf &leaf, unsigned skip)
	{
		// natural_capacity() of the lanes, but the top bit is taken of the maximum. What
		// follows a gap may have a value: it falls below the granule in the end.
		const uint64_t use = below(leaf.n);
		const auto lo = static_cast<uint32_t>(use), hi = static_cast<uint32_t>(use >> 32);
		const uint32_t evens = (lo & kEven) | (hi & kEven) << 1;
		const uint32_t odds = (lo & ~kEven) >> 1 | (hi & ~kEven);
		const uint32_t skipped = uint32_t{1} << ((skip & 30) | skip >> 5);
		const __m512i value_bits = splat(kValueMask), half = splat(~uint64_t{0} >> 1);
		__m512i gap = _mm512_setzero_si512(), natural = gap, under_block = gap;
		const Pairs pairs(leaf);
		for (unsigned i = 0; i < 4; ++i) {
			const __m512i next = _mm512_alignr_epi64(pairs.even[i + 1], pairs.even[i], 2);
			const __mmask8 even = _mm512_mask_testn_epi64_mask(
				static_cast<__mmask8>(evens >> 8 * i), pairs.even[i], value_bits);
			const __mmask8 odd = _mm512_mask_testn_epi64_mask(
				static_cast<__mmask8>(odds >> 8 * i), pairs.odd[i], value_bits);
			// Late, because what is skipped is known last.
			const auto gaps = static_cast<__mmask8>((even | odd) & ~(skipped >> 8 * i));
			const __m512i s = _mm512_mask_mov_epi64(pairs.odd[i], even, pairs.even[i]);
			const __m512i e = _mm512_mask_mov_epi64(next, even, pairs.odd[i]);
			const __m512i low = _mm512_srlv_epi64(half, _mm512_lzcnt_epi64(_mm512_xor_si512(s, e)));
			const __m512i length = _mm512_sub_epi64(e, s), after = _mm512_and_si512(e, low);
			gap = _mm512_mask_max_epi64(gap, gaps, gap, length);
			natural = _mm512_mask_max_epi64(
				natural, gaps, natural,
				_mm512_mask_mov_epi64(after, _mm512_testn_epi64_mask(s, low), length));
			under_block = _mm512_mask_max_epi64(under_block, gaps, under_block,
							    _mm512_andnot_si512(s, low));
		}
		// Without a gap the block comes to 1, less than a granule.
		const __m512i most = _mm512_sub_epi64(under_block, splat(~uint64_t{0}));
		const __m512i block = _mm512_srlv_epi64(splat(uint64_t{1} << 63), _mm512_lzcnt_epi64(most));
		natural = _mm512_max_epi64(natural, block);
		// The lanes of both beside each other, reduced together.
		const __m512i both = _mm512_max_epi64(_mm512_unpacklo_epi64(gap, natural),
						      _mm512_unpackhi_epi64(gap, natural));
		const __m256i four = _mm256_max_epi64(_mm512_castsi512_si256(both),
						      _mm512_extracti64x4_epi64(both, 1));
		const __m128i two = _mm_max_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
		return summary_of(_mm_cvtusepi64_epi32(_mm_srli_epi64(two, kValueBits)));
	}

	static Summary summarize(const Inner &node, unsigned c, Summary s)
	{
		const uint32_t use = static_cast<uint32_t>(below(node.n)) & ~(uint32_t{1} << c);
		__m256i gap = _mm256_setzero_si256(), natural = gap;
		for (unsigned i = 0; i < Inner::kCapacity; i += 8) {
			const auto lanes = static_cast<__mmask8>(use >> i);
			gap = _mm256_mask_max_epu32(gap, lanes, gap, load256(node.gap + i));
			natural = _mm256_mask_max_epu32(natural, lanes, natural, load256(node.natural + i));
		}
		const __m256i both = _mm256_max_epu32(_mm256_unpacklo_epi32(gap, natural),
						      _mm256_unpackhi_epi32(gap, natural));
		const __m128i four = _mm_max_epu32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
		s.raise(summary_of(_mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4e))));
		return s;
	}

	// Every vector is stored, changed or not: memmove() would mispredict the length. The
	// word of n goes with the last one and is written again.
	static void open(Leaf &leaf, unsigned at, unsigned by)
	{
		const unsigned n = leaf.n + by;
		const uint64_t moved = ~below(at + by);
		const __m512i from = _mm512_sub_epi64(iota(), splat(by));
		__m512i before = _mm512_setzero_si512();
		for (unsigned i = 0; i < 64; i += 8) {
			const __m512i here = load(leaf.key + i);
			store(leaf.key + i, here, static_cast<__mmask8>(moved >> i),
			      _mm512_permutex2var_epi64(here, from, before));
			before = here;
		}
		leaf.n = n;
	}

	static void close(Leaf &leaf, unsigned at, unsigned by)
	{
		const unsigned n = leaf.n - by;
		const uint64_t moved = ~below(at);
		const __m512i from = _mm512_add_epi64(iota(), splat(by));
		__m512i here = load(leaf.key);
		for (unsigned i = 0; i < 64; i += 8) {
			const __m512i after = i < 56 ? load(leaf.key + i + 8) : here;
			store(leaf.key + i, here, static_cast<__mmask8>(moved >> i),
			      _mm512_permutex2var_epi64(here, from, after));
			here = after;
		}
		leaf.n = n;
	}

private:
	// The extents of a leaf in pairs. Of 2j and 2j + 1 one at most is a gap, so that one
	// lane serves both. Even lanes have pairs of the lower half of the leaf, odd lanes
	// those of the upper half: lane b of all, counted through, has the extents b and b + 1,
	// or 32 + b - 1 and 32 + b.
	static constexpr uint32_t kEven = 0x55555555;

	struct Pairs {
		__m512i even[5], odd[4];

		explicit Pairs(const Leaf &leaf)
		{
			for (unsigned i = 0; i < 4; ++i) {
				const __m512i a = load(leaf.key + 8 * i), b = load(leaf.key + 32 + 8 * i);
				even[i] = _mm512_unpacklo_epi64(a, b);
				odd[i] = _mm512_unpackhi_epi64(a, b);
			}
			// What follows the lower half; nothing follows the upper one.
			even[4] = _mm512_unpackhi_epi64(even[0], even[0]);
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

	static __m512i iota() { return _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7); }
	static __m512i load(const void *p) { return _mm512_loadu_si512(p); }
	static void store(uint64_t *to, __m512i old, __mmask8 lanes, __m512i v)
	{
		_mm512_storeu_si512(to, _mm512_mask_mov_epi64(old, lanes, v));
	}
	static __m256i load256(const void *p)
	{
		return _mm256_loadu_si256(static_cast<const __m256i *>(p));
	}
	static __m512i splat(uint64_t v) { return _mm512_set1_epi64(static_cast<long long>(v)); }
	static uint64_t below(unsigned n) { return (uint64_t{1} << n) - 1; }

	static Summary summary_of(__m128i v)
	{
		return std::bit_cast<Summary>(_mm_cvtsi128_si64(v));
	}
};

}  // namespace iovad::core
