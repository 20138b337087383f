// SPDX-License-Identifier: BSD-3-Clause
// A pool to which memory is added while it is used.
#include <gtest/gtest.h>

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <vector>

#include "tree_fixture.h"

namespace iovad::core {
namespace {

constexpr size_t kReach = size_t{512} << 30;

// Whole nodes, so that the sanitizer sees what lies outside; its first node `shift` bytes in.
class Nodes {
public:
	explicit Nodes(uint32_t count, size_t shift = 0)
		: memory_(std::aligned_alloc(kNodeBytes, size_t{count} * kNodeBytes)),
		  at_(static_cast<std::byte *>(memory_.get()) + shift), bytes_(size_t{count} * kNodeBytes - shift)
	{
	}
	void *at() const { return at_; }
	size_t bytes() const { return bytes_; }

private:
	std::unique_ptr<void, FreeDeleter> memory_;
	std::byte *at_;
	size_t bytes_;
};

TEST(NodePoolTest, WhatWasAddedIsHandedOutNodeByNode)
{
	const Nodes base(3), one(5), two(1);
	NodePool pool;
	pool.init(base.at(), 3);
	ASSERT_TRUE(pool.add(one.at(), one.bytes()));
	ASSERT_TRUE(pool.add(two.at(), two.bytes()));
	EXPECT_EQ(pool.capacity(), 9u);
	std::set<void *> taken;
	for (unsigned i = 0; i < 9; ++i) {
		ASSERT_EQ(pool.available(), 9 - i);
		ASSERT_TRUE(pool.sound());
		const NodeRef ref = pool.take_inner();
		Inner &inner = pool.inner(ref);
		inner = {};
		taken.insert(&inner);
	}
	EXPECT_EQ(taken.size(), 9u);
	EXPECT_EQ(pool.used(), 9u);
	for (const Nodes *n : {&base, &one, &two})
		EXPECT_TRUE(taken.contains(n->at()));
}

TEST(NodePoolTest, NodesThatCameBackGoFirst)
{
	const Nodes base(2), more(4);
	NodePool pool;
	pool.init(base.at(), 2);
	const NodeRef a = pool.take_inner();
	ASSERT_TRUE(pool.add(more.at(), more.bytes()));
	pool.give_inner(a);
	EXPECT_EQ(pool.take_inner(), a);
	EXPECT_EQ(pool.available(), 5u);
}

TEST(NodePoolTest, LeavesComeInTwosOfANode)
{
	const Nodes base(3);
	NodePool pool;
	pool.init(base.at(), 3);
	EXPECT_TRUE(pool.has(6, 0));
	EXPECT_TRUE(pool.has(2, 2));
	EXPECT_FALSE(pool.has(3, 2));
	const NodeRef a = pool.take_leaf(), b = pool.take_leaf(), c = pool.take_leaf();
	for (const NodeRef ref : {a, b, c})
		pool.leaf(ref).n = 1;
	EXPECT_EQ(std::abs(reinterpret_cast<std::byte *>(&pool.leaf(a)) - reinterpret_cast<std::byte *>(&pool.leaf(b))),
		  ptrdiff_t{sizeof(Leaf)});
	EXPECT_EQ(pool.used_leaves(), 3u);
	EXPECT_EQ(pool.used(), 2u);
	EXPECT_EQ(pool.whole(), 1u);
	EXPECT_TRUE(pool.has(1, 1));
	EXPECT_FALSE(pool.has(2, 1));
	for (const NodeRef ref : {a, c})
		pool.give_leaf(ref);
	EXPECT_EQ(pool.whole(), 2u) << "both halves of one came back";
	EXPECT_TRUE(pool.has(3, 1));
	EXPECT_FALSE(pool.has(4, 1));
	pool.give_leaf(b);
	EXPECT_EQ(pool.whole(), 3u);
	EXPECT_EQ(pool.used_leaves(), 0u);
}

// Halves come and go in any order; all of it is there in the end.
TEST(NodePoolTest, HalvesBecomeNodesAgain)
{
	constexpr uint32_t kNodes = 50;
	const Nodes base(kNodes);
	NodePool pool;
	pool.init(base.at(), kNodes);
	Random random(1);
	std::vector<NodeRef> leaves, inner;
	for (int i = 0; i < 20000; ++i) {
		const bool is_leaf = random.below(4) != 0;
		std::vector<NodeRef> &taken = is_leaf ? leaves : inner;
		if (random.below(2) != 0 && pool.has(is_leaf, !is_leaf)) {
			const NodeRef ref = is_leaf ? pool.take_leaf() : pool.take_inner();
			if (is_leaf)
				pool.leaf(ref).n = 1;
			else
				pool.inner(ref) = {};
			taken.push_back(ref);
		} else if (!taken.empty()) {
			std::swap(taken[random.below(taken.size())], taken.back());
			is_leaf ? pool.give_leaf(taken.back()) : pool.give_inner(taken.back());
			taken.pop_back();
		}
		ASSERT_EQ(pool.used_leaves(), leaves.size() + 2 * inner.size());
		std::set<NodeRef> cut;
		for (const NodeRef ref : leaves)
			cut.insert(ref & ~1);
		ASSERT_EQ(pool.whole(), kNodes - cut.size() - inner.size());
	}
	while (!leaves.empty()) {
		pool.give_leaf(leaves.back());
		leaves.pop_back();
	}
	EXPECT_EQ(pool.whole(), kNodes - inner.size());
}

TEST(NodePoolTest, MemoryBetweenTheNodesOfTheBaseLosesOne)
{
	const Nodes base(2), askew(4, 64);
	NodePool pool;
	pool.init(base.at(), 2);
	ASSERT_TRUE(pool.add(askew.at(), askew.bytes()));
	EXPECT_EQ(pool.capacity(), 5u);
	const Nodes small(1, 64);
	EXPECT_FALSE(pool.add(small.at(), small.bytes())) << "no whole node";
	EXPECT_FALSE(pool.add(small.at(), 0));
	EXPECT_EQ(pool.capacity(), 5u);
}

TEST(NodePoolTest, MemoryMayLieAsFarAs512GibibytesOnEitherSide)
{
	// Address space without memory; the pages at the places in question get some.
	const size_t span = 2 * kReach + 8192;
	void *space = mmap(nullptr, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (space == MAP_FAILED)
		GTEST_SKIP() << "no address space of 1 TiB";
	auto *low = static_cast<std::byte *>(space);
	std::byte *middle = low + kReach, *high = middle + kReach - 4096;
	for (std::byte *page : {low, middle, high, high + 4096})
		ASSERT_EQ(mprotect(page, 4096, PROT_READ | PROT_WRITE), 0);
	NodePool pool;
	pool.init(middle, 1);
	EXPECT_FALSE(pool.add(high, 8192)) << "its end is too far";
	EXPECT_FALSE(pool.add(high + 4096, 4096));
	EXPECT_TRUE(pool.add(high, 4096 - kNodeBytes));
	EXPECT_TRUE(pool.add(low, 4096));
	pool.init(middle + kNodeBytes, 1);
	EXPECT_FALSE(pool.add(low, 4096)) << "its beginning is too far";
	EXPECT_TRUE(pool.add(low + kNodeBytes, 4096 - kNodeBytes));
	std::vector<std::byte *> seen;
	while (pool.available() != 0)
		seen.push_back(reinterpret_cast<std::byte *>(&pool.leaf(pool.take_inner())));
	EXPECT_EQ(*std::min_element(seen.begin(), seen.end()), low + kNodeBytes);
	EXPECT_EQ(*std::max_element(seen.begin(), seen.end()), middle + kNodeBytes);
	munmap(space, span);
}

TEST(NodePoolTest, ATreeGrowsIntoMemoryBelowAndAboveItsOwn)
{
	// Three parts of one block, the middle one the base.
	const Nodes all(300);
	auto *at = static_cast<std::byte *>(all.at());
	NodePool pool;
	pool.init(at + 100 * kNodeBytes, 100);
	RangeTree tree;
	tree.init(&pool, 1, 1000001);
	const auto fill = [&] {
		while (tree.alloc(1, 2, ~Pfn{0}, 1).status == Status::ok)
			;
		ASSERT_TRUE(tree.verify(stderr));
	};
	fill();
	const uint64_t first = tree.ranges();
	ASSERT_TRUE(pool.add(at, 100 * kNodeBytes));
	fill();
	EXPECT_GT(tree.ranges(), first * 19 / 10);
	ASSERT_TRUE(pool.add(at + 200 * kNodeBytes, 100 * kNodeBytes));
	fill();
	EXPECT_GT(tree.ranges(), first * 28 / 10);
	for (Pfn pfn = 1; pfn < tree.end();) {
		const Extent e = tree.find(pfn);
		if (e.value != 0) {
			ASSERT_EQ(tree.erase(e.start, e.end, 1), Status::ok);
		}
		pfn = e.end;
	}
	EXPECT_EQ(pool.used(), 1u);
	EXPECT_TRUE(tree.verify(stderr));
}

}  // namespace
}  // namespace iovad::core
