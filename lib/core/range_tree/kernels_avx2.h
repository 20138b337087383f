// SPDX-License-Identifier: BSD-3-Clause
// The node kernels with AVX2: see kernels_portable.h for what each means. All lanes of
// a node are computed, whatever n is, and clipped afterwards: a loop over n would
// mispredict. Lanes at and beyond n hold garbage.
#pragma once

#include <immintrin.h>

#include "core/range_tree/kernels_portable.h"

namespace iovad::core {

struct Avx2Kernels {
	static unsigned rank(const Leaf &leaf, uint64_t key)
	{
		const __m256i k = splat(key);
		uint64_t above = 0;
		for (unsigned i = 0; i < 64; i += 4)
			above |= lanes(_mm256_cmpgt_epi64(load(leaf.key + i), k)) << i;
		return static_cast<unsigned>(std::popcount(~above & below(leaf.n)));
	}

	static unsigned child_of(const Inner &node, uint64_t key)
	{
		const __m256i k = splat(key);
		uint64_t above = 0;
		for (unsigned i = 0; i < Inner::kCapacity; i += 4)
			above |= lanes(_mm256_cmpgt_epi64(load(node.key + i), k)) << i;
		return static_cast<unsigned>(std::popcount(~(above | 1) & below(node.n)));
	}

	static uint32_t candidates(const Inner &node, Summary least)
	{
		// x >= y for unsigned lanes: max(x, y) == x.
		const __m256i g = splat32(least.gap), c = splat32(least.natural);
		uint32_t mask = 0;
		for (unsigned i = 0; i < Inner::kCapacity; i += 8) {
			const __m256i gap = load(node.gap + i), natural = load(node.natural + i);
			const __m256i ge = _mm256_and_si256(
				_mm256_cmpeq_epi32(_mm256_max_epu32(gap, g), gap),
				_mm256_cmpeq_epi32(_mm256_max_epu32(natural, c), natural));
			mask |= static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(ge))) << i;
		}
		return mask & static_cast<uint32_t>(below(node.n));
	}

	static int highest_fit(const Leaf &leaf, const Request &r)
	{
		const __m256i end = splat(r.end), size = splat(r.size), mask = splat(r.align_mask);
		uint64_t fit = 0;
		for (unsigned i = 0; i < 64; i += 4) {
			const __m256i s = load(leaf.key + i);
			// The last vector reads one word past the leaf's keys: its own n.
			const __m256i next = i < 60 ? load(leaf.key + i + 1) : shift_in_last(s);
			const __m256i e = _mm256_blendv_epi8(next, end, _mm256_cmpgt_epi64(next, end));
			const __m256i p = _mm256_and_si256(_mm256_sub_epi64(e, size), mask);
			fit |= lanes(_mm256_andnot_si256(_mm256_cmpgt_epi64(s, p), gaps(s))) << i;
		}
		return 63 - std::countl_zero(fit & below(leaf.n));
	}

	static Summary summarize(const Leaf &leaf, unsigned skip)
	{
		// natural_capacity() of the lanes, but the top bit is taken of the maximum. What
		// follows a gap may have a value: it falls below the granule in the end.
		const __m256i n = splat(leaf.n), skipped = splat(skip);
		const Pairs pairs(leaf);
		__m256i odd = _mm256_setr_epi64x(1, 33, 3, 35);
		__m256i gap = _mm256_setzero_si256(), natural = gap, under_block = gap;
		for (unsigned i = 0; i < 8; ++i) {
			const __m256i next = _mm256_permute2x128_si256(pairs.even[i], pairs.even[i + 1], 0x21);
			const __m256i even = gaps(pairs.even[i]);
			const __m256i s = _mm256_blendv_epi8(pairs.odd[i], pairs.even[i], even);
			const __m256i e = _mm256_blendv_epi8(next, pairs.odd[i], even);
			const __m256i index = _mm256_add_epi64(odd, even);
			const __m256i use = _mm256_andnot_si256(
				_mm256_cmpeq_epi64(index, skipped),
				_mm256_and_si256(gaps(s), _mm256_cmpgt_epi64(n, index)));
			const __m256i low = _mm256_srli_epi64(smear(_mm256_xor_si256(s, e)), 1);
			const __m256i length = _mm256_and_si256(_mm256_sub_epi64(e, s), use);
			const __m256i part = _mm256_and_si256(_mm256_and_si256(e, low), use);
			const __m256i whole = _mm256_cmpeq_epi64(_mm256_and_si256(s, low), _mm256_setzero_si256());
			gap = max(gap, length);
			natural = max(natural, _mm256_blendv_epi8(part, length, whole));
			under_block = max(under_block, _mm256_and_si256(_mm256_andnot_si256(s, low), use));
			odd = _mm256_add_epi64(odd, splat(4));
		}
		// Without a gap the block comes to 1, less than a granule.
		const uint64_t block = (uint64_t{1} << 63) >> std::countl_zero(reduce(under_block) + 1);
		const uint64_t rest = reduce(natural);
		return {saturate(pfn_of(reduce(gap))), saturate(pfn_of(block > rest ? block : rest))};
	}

	static Summary summarize(const Inner &node, unsigned c, Summary s)
	{
		const __m256i n = splat32(node.n), skipped = splat32(c);
		__m256i gap = splat32(s.gap), natural = splat32(s.natural);
		__m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
		for (unsigned i = 0; i < Inner::kCapacity; i += 8) {
			const __m256i use = _mm256_andnot_si256(_mm256_cmpeq_epi32(index, skipped),
								_mm256_cmpgt_epi32(n, index));
			gap = _mm256_max_epu32(gap, _mm256_and_si256(load(node.gap + i), use));
			natural = _mm256_max_epu32(natural, _mm256_and_si256(load(node.natural + i), use));
			index = _mm256_add_epi32(index, splat32(8));
		}
		return {max_u32(gap), max_u32(natural)};
	}

	// Room for `by` keys, two at most, before key[at].
	static void open(Leaf &leaf, unsigned at, unsigned by)
	{
		std::memmove(&leaf.key[at + by], &leaf.key[at], (leaf.n + 1 - at) * sizeof(uint64_t));
		leaf.n += by;
	}

	// Away with `by` keys, two at most, from key[at] on.
	static void close(Leaf &leaf, unsigned at, unsigned by)
	{
		std::memmove(&leaf.key[at], &leaf.key[at + by], (leaf.n + 1 - at - by) * sizeof(uint64_t));
		leaf.n -= by;
	}

private:
	static __m256i load(const void *p) { return _mm256_loadu_si256(static_cast<const __m256i *>(p)); }
	static __m256i splat(uint64_t v) { return _mm256_set1_epi64x(static_cast<long long>(v)); }
	static __m256i splat32(uint32_t v) { return _mm256_set1_epi32(static_cast<int>(v)); }
	static uint64_t below(unsigned n) { return (uint64_t{1} << n) - 1; }
	static uint64_t lanes(__m256i v)
	{
		return static_cast<uint64_t>(_mm256_movemask_pd(_mm256_castsi256_pd(v)));
	}
	static __m256i max(__m256i a, __m256i b) { return _mm256_blendv_epi8(a, b, _mm256_cmpgt_epi64(b, a)); }

	// Lane i of the last vector of a leaf gets key i + 1; the top lane is beyond n.
	static __m256i shift_in_last(__m256i s) { return _mm256_permute4x64_epi64(s, 0xf9); }

	// All ones where the extent is a gap.
	static __m256i gaps(__m256i s)
	{
		return _mm256_cmpeq_epi64(_mm256_and_si256(s, splat(kValueMask)), _mm256_setzero_si256());
	}

	// The extents of a leaf in pairs. Of 2j and 2j + 1 one at most is a gap, so that one
	// lane serves both. Even lanes have pairs of the lower half of the leaf, odd lanes
	// those of the upper half.
	struct Pairs {
		__m256i even[9], odd[8];

		explicit Pairs(const Leaf &leaf)
		{
			for (unsigned i = 0; i < 8; ++i) {
				const __m256i a = load(leaf.key + 4 * i), b = load(leaf.key + 32 + 4 * i);
				even[i] = _mm256_unpacklo_epi64(a, b);
				odd[i] = _mm256_unpackhi_epi64(a, b);
			}
			// What follows the lower half; nothing follows the upper one.
			even[8] = _mm256_unpackhi_epi64(even[0], even[0]);
		}
	};

	// Every bit below the top one set, too.
	static __m256i smear(__m256i x)
	{
		x = _mm256_or_si256(x, _mm256_srli_epi64(x, 1));
		x = _mm256_or_si256(x, _mm256_srli_epi64(x, 2));
		x = _mm256_or_si256(x, _mm256_srli_epi64(x, 4));
		x = _mm256_or_si256(x, _mm256_srli_epi64(x, 8));
		x = _mm256_or_si256(x, _mm256_srli_epi64(x, 16));
		return _mm256_or_si256(x, _mm256_srli_epi64(x, 32));
	}

	static uint64_t reduce(__m256i v)
	{
		v = max(v, _mm256_permute4x64_epi64(v, 0x4e));
		v = max(v, _mm256_permute4x64_epi64(v, 0xb1));
		return static_cast<uint64_t>(_mm256_extract_epi64(v, 0));
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
