// SPDX-License-Identifier: BSD-3-Clause
// The vector kernels against the portable ones, on random nodes with garbage in the
// lanes beyond n, at every fill.
#include <gtest/gtest.h>

#ifdef IOVAD_HAVE_X86_KERNELS

#include "tree_kernels.h"

namespace iovad::core {

const NodeKernels kPortableKernels = node_kernels<PortableKernels>(Isa::portable);

namespace {

class KernelsTest : public testing::TestWithParam<const NodeKernels *> {
protected:
	void SetUp() override
	{
		if (!isa_supported(GetParam()->isa))
			GTEST_SKIP() << "this machine has no " << isa_name(GetParam()->isa);
	}

	// From one frame's beginning or later, to its end at most; some leaves begin below it.
	static Leaf random_leaf(Random &random, unsigned n)
	{
		Leaf leaf;
		auto *bytes = reinterpret_cast<unsigned char *>(&leaf);
		for (size_t i = 0; i < sizeof leaf; ++i)
			bytes[i] = static_cast<unsigned char>(random.next());
		leaf.frame = kFrame * random.below(kMaxPfn / kFrame);
		const unsigned bits = static_cast<unsigned>(2 + random.below(20));
		Pfn offset = random.below(3) == 0 ? 0 : random.below(1000);
		bool gap = random.below(2);
		for (unsigned i = 0; i <= n; ++i) {
			const bool to_the_end = i == n && random.below(4) == 0;
			leaf.key[i] = key_of(to_the_end ? kFrame : offset,
					     gap ? 0 : static_cast<Value>(1 + random.below(kValueMask)));
			offset += 1 + random.next() % (uint64_t{1} << (1 + random.below(bits)));
			gap = !gap && random.below(2);  // gaps do not touch
		}
		leaf.start = leaf.frame + offset_of(leaf.key[0]);
		leaf.n = n;
		return leaf;
	}

	// But for `by` keys from `from` on, which are to be written.
	static void expect_same(const Leaf &a, const Leaf &b, unsigned from, unsigned by)
	{
		ASSERT_EQ(a.n, b.n);
		for (unsigned i = 0; i <= a.n; ++i) {
			if (i < from || i >= from + by) {
				ASSERT_EQ(a.key[i], b.key[i]) << "key " << i;
			}
		}
	}

	static Inner random_inner(Random &random, unsigned n)
	{
		Inner node;
		auto *bytes = reinterpret_cast<unsigned char *>(&node);
		for (size_t i = 0; i < sizeof node; ++i)
			bytes[i] = static_cast<unsigned char>(random.next());
		Pfn pfn = 1;
		for (unsigned c = 0; c < n; ++c) {
			node.key[c] = pfn;
			pfn += 1 + random.below(uint64_t{1} << 40);
			const bool big = random.below(8) == 0;
			node.below[c].gap = big ? UINT32_MAX - static_cast<uint32_t>(random.below(2))
					  : static_cast<uint32_t>(random.below(100));
			node.below[c].natural = static_cast<uint32_t>(random.below(uint64_t{node.below[c].gap} + 1));
		}
		node.n = n;
		return node;
	}
};

TEST_P(KernelsTest, RankOfLeaf)
{
	Random random(1);
	for (unsigned round = 0; round < 40; ++round) {
		for (unsigned n = 1; n <= Leaf::kCapacity; ++n) {
			const Leaf leaf = random_leaf(random, n);
			ASSERT_EQ(GetParam()->rank(leaf, -1), 0u);
			for (unsigned i = 0; i < n; ++i) {
				const auto here = static_cast<int32_t>(leaf.key[i] | kValueMask), granule = 1 << kValueBits;
				for (const int32_t number : {here - granule, here, here + granule}) {
					ASSERT_EQ(GetParam()->rank(leaf, number),
						  kPortableKernels.rank(leaf, number));
				}
			}
		}
	}
}

TEST_P(KernelsTest, ChildOf)
{
	Random random(2);
	for (unsigned round = 0; round < 40; ++round) {
		for (unsigned n = 1; n <= Inner::kCapacity; ++n) {
			const Inner node = random_inner(random, n);
			for (unsigned c = 0; c < n; ++c) {
				for (const Pfn at : {node.key[c] - 1, node.key[c], node.key[c] + 1}) {
					ASSERT_EQ(GetParam()->child_of(node, at),
						  kPortableKernels.child_of(node, at));
				}
			}
		}
	}
}

TEST_P(KernelsTest, Candidates)
{
	Random random(3);
	for (unsigned round = 0; round < 1000; ++round) {
		const unsigned n = 1 + static_cast<unsigned>(random.below(Inner::kCapacity));
		const Inner node = random_inner(random, n);
		const Summary of = node.below[static_cast<unsigned>(random.below(n))];
		for (const Summary least : {Summary{of.gap, 1}, Summary{1, of.natural}, of, Summary{0, 0},
					    Summary{UINT32_MAX, UINT32_MAX}}) {
			ASSERT_EQ(GetParam()->candidates(node, least), kPortableKernels.candidates(node, least));
		}
	}
}

TEST_P(KernelsTest, HighestFit)
{
	Random random(4);
	unsigned found = 0, none = 0;
	for (unsigned round = 0; round < 20000; ++round) {
		const unsigned n = 1 + static_cast<unsigned>(random.below(Leaf::kCapacity));
		const Leaf leaf = random_leaf(random, n);
		const Pfn last = leaf.end_of(n - 1);
		Request whole;
		whole.size = 1 + random.next() % (uint64_t{1} << random.below(30));
		whole.align_mask = ~((uint64_t{1} << random.below(round % 2 ? 1 : 34)) - 1);
		whole.end = random.below(2) ? last : leaf.frame - 10 + random.below(last - leaf.frame + 20);
		whole.least = {};
		const LeafRequest r(whole, leaf.frame);
		const int expected = kPortableKernels.highest_fit(leaf, r);
		++(expected < 0 ? none : found);
		ASSERT_EQ(GetParam()->highest_fit(leaf, r), expected);
	}
	EXPECT_GT(found, 1000u);
	EXPECT_GT(none, 1000u);
}

TEST_P(KernelsTest, SummaryOfLeaf)
{
	Random random(5);
	for (unsigned round = 0; round < 100; ++round) {
		for (unsigned n = 1; n <= Leaf::kCapacity; ++n) {
			const Leaf leaf = random_leaf(random, n);
			for (unsigned skip : {0u, static_cast<unsigned>(random.below(n)), n - 1, 63u}) {
				if (skip < n && leaf.value(skip) != 0)
					skip = 63;  // ranges are not skipped
				ASSERT_EQ(GetParam()->summarize_leaf(leaf, skip),
					  kPortableKernels.summarize_leaf(leaf, skip));
			}
		}
	}
}

TEST_P(KernelsTest, OpenAndClose)
{
	Random random(7);
	for (unsigned round = 0; round < 20; ++round) {
		for (unsigned n = 2; n <= Leaf::kCapacity; ++n) {
			const unsigned by = static_cast<unsigned>(random.below(3));
			const Leaf full = random_leaf(random, n);
			Leaf leaf = full, expected = full;
			const unsigned from = 1 + static_cast<unsigned>(random.below(n));
			if (n + by <= Leaf::kCapacity) {
				GetParam()->open(leaf, from, by);
				kPortableKernels.open(expected, from, by);
				expect_same(leaf, expected, from, by);
			}
			if (from + by <= n) {
				leaf = expected = full;
				GetParam()->close(leaf, from, by);
				kPortableKernels.close(expected, from, by);
				expect_same(leaf, expected, from, 0);
			}
		}
	}
}

TEST_P(KernelsTest, SummaryOfInner)
{
	Random random(6);
	for (unsigned round = 0; round < 100; ++round) {
		for (unsigned n = 1; n <= Inner::kCapacity; ++n) {
			const Inner node = random_inner(random, n);
			const unsigned c = static_cast<unsigned>(random.below(n));
			const Summary s = {static_cast<uint32_t>(random.next()),
					   static_cast<uint32_t>(random.next())};
			for (const Summary lane : {s, Summary{}, node.below[c]}) {
				ASSERT_EQ(GetParam()->summarize_inner(node, c, lane),
					  kPortableKernels.summarize_inner(node, c, lane));
			}
		}
	}
}

INSTANTIATE_TEST_SUITE_P(Isas, KernelsTest, testing::Values(&kAvx2Kernels, &kAvx512Kernels),
			 [](const auto &p) { return p.param->isa == Isa::avx2 ? "Avx2" : "Avx512"; });

}  // namespace
}  // namespace iovad::core

#else

TEST(KernelsTest, VectorKernels) { GTEST_SKIP() << "vector kernels exist for x86-64 only"; }

#endif
