// SPDX-License-Identifier: BSD-3-Clause
// A pool to which memory is added while it is used.
#include <gtest/gtest.h>

#include <sys/mman.h>

#include <algorithm>
#include <set>
#include <vector>

#include "tree_fixture.h"

namespace iovad::core {
namespace {

constexpr size_t kTiB = size_t{1} << 40;

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
		const NodeRef ref = pool.take();
		Leaf &leaf = pool.leaf(ref);
		leaf = {};
		taken.insert(&leaf);
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
	const NodeRef a = pool.take();
	ASSERT_TRUE(pool.add(more.at(), more.bytes()));
	pool.give(a);
	EXPECT_EQ(pool.take(), a);
	EXPECT_EQ(pool.available(), 5u);
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

TEST(NodePoolTest, MemoryMayLieAsFarAsATebibyteOnEitherSide)
{
	// Address space without memory; the pages at the places in question get some.
	const size_t span = 2 * kTiB + 8192;
	void *space = mmap(nullptr, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (space == MAP_FAILED)
		GTEST_SKIP() << "no address space of 2 TiB";
	auto *low = static_cast<std::byte *>(space);
	std::byte *middle = low + kTiB, *high = middle + kTiB - 4096;
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
		seen.push_back(reinterpret_cast<std::byte *>(&pool.leaf(pool.take())));
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
