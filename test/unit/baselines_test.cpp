// SPDX-License-Identifier: BSD-3-Clause
// The peers that the benchmarks compare with, against a std::map that is scanned
// from the top. A comparison is honest only if the peers work: every result of a
// random run is checked, and every aggregate and colour recomputed.
#include "../../bench/baselines/augmented_rbtree.h"
#include "../../bench/baselines/linear_rbtree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using iovad::baselines::AlignedSearch;
using iovad::baselines::AugmentedRbtree;
using iovad::baselines::kNone;
using iovad::baselines::LinearRbtree;
using iovad::baselines::RbHook;
using iovad::baselines::RbTree;
using iovad::baselines::Space;

using Exact = AugmentedRbtree<AlignedSearch::kExact>;
using Padded = AugmentedRbtree<AlignedSearch::kPadded>;

constexpr std::uint64_t kL32 = 0xFFFFF;
constexpr std::uint64_t kL64 = 0x1000000;

class Oracle {
public:
	explicit Oracle(const Space &space) : space_(space) {}

	// The highest address, in a hole of at least min_hole pages.
	std::uint64_t highest(std::uint64_t size, std::uint64_t align, std::uint64_t limit,
			      std::uint64_t min_hole) const
	{
		std::uint64_t end = space_.last + 1; // of the hole being looked at
		auto it = live_.rbegin();
		for (;;) {
			std::uint64_t begin = it == live_.rend() ? space_.first : it->second + 1;
			std::uint64_t top = std::min(end, limit + 1);
			if (end - begin >= min_hole && top >= begin + size) {
				std::uint64_t lo = (top - size) & ~(align - 1);
				if (lo >= begin)
					return lo;
			}
			if (it == live_.rend())
				return kNone;
			end = it->first;
			++it;
		}
	}

	bool take(std::uint64_t lo, std::uint64_t size)
	{
		auto above = live_.lower_bound(lo);
		if (lo < space_.first || lo + size - 1 > space_.last)
			return false;
		if (above != live_.end() && above->first < lo + size)
			return false;
		if (above != live_.begin() && std::prev(above)->second >= lo)
			return false;
		live_.emplace(lo, lo + size - 1);
		return true;
	}

	void drop(std::uint64_t lo) { live_.erase(lo); }
	std::size_t size() const { return live_.size(); }

private:
	Space space_;
	std::map<std::uint64_t, std::uint64_t> live_;
};

struct Request {
	std::uint64_t size, align, limit;
};

struct Paths {
	unsigned fits = 0, full = 0, refused_by_hint = 0, blind = 0;
};

// What each contestant promises: false where it broke the promise.
bool judge(const LinearRbtree &, std::uint64_t hint, const Oracle &oracle, const Request &r,
	   std::uint64_t got, const Space &space, Paths &paths)
{
	std::uint64_t best = oracle.highest(r.size, r.align, r.limit, r.size);
	if (got != kNone) {
		++paths.fits;
		return got % r.align == 0 && got + r.size - 1 <= r.limit && got <= best;
	}
	if (best == kNone) {
		++paths.full;
		return true;
	}
	++paths.refused_by_hint;
	return r.limit < space.pages_below_4g && r.size >= hint;
}

template <AlignedSearch kSearch>
bool judge(const AugmentedRbtree<kSearch> &, std::uint64_t, const Oracle &oracle, const Request &r,
	   std::uint64_t got, const Space &, Paths &paths)
{
	std::uint64_t min_hole = kSearch == AlignedSearch::kPadded ? r.size + r.align - 1 : r.size;
	std::uint64_t best = oracle.highest(r.size, r.align, r.limit, r.size);
	++(got != kNone ? paths.fits : paths.full);
	paths.blind += got != best;
	return got == oracle.highest(r.size, r.align, r.limit, min_hole);
}

std::uint64_t hint_of(const LinearRbtree &t) { return t.max32_alloc_size(); }
template <AlignedSearch kSearch>
std::uint64_t hint_of(const AugmentedRbtree<kSearch> &) { return kNone; }

template <class T>
class BaselinesTest : public ::testing::Test {
protected:
	void random_run(std::uint64_t seed, unsigned operations)
	{
		SCOPED_TRACE(testing::Message() << "seed " << seed);
		const Space space{.first = 1, .last = 4095, .pages_below_4g = 1024, .max_ranges = 400};
		struct Live {
			std::uint64_t lo, size;
			typename T::Handle handle;
		};
		T tree(space);
		Oracle oracle(space);
		std::vector<Live> live;
		std::mt19937_64 random(seed);
		auto below = [&](std::uint64_t n) {
			return std::uniform_int_distribution<std::uint64_t>(0, n - 1)(random);
		};
		// Half of the phases grow the population, half shrink it.
		for (unsigned i = 0; i < operations; ++i) {
			bool grow = (i / 700) % 2 == 0;
			if (!live.empty() && below(10) < (grow ? 3 : 7)) {
				std::swap(live[below(live.size())], live.back());
				Live gone = live.back();
				live.pop_back();
				oracle.drop(gone.lo);
				if (below(2)) {
					tree.free_handle(gone.handle);
				} else {
					ASSERT_FALSE(tree.free_address(gone.lo, gone.size + 1));
					ASSERT_TRUE(tree.free_address(gone.lo, gone.size));
					ASSERT_FALSE(tree.free_address(gone.lo, gone.size));
				}
			} else if (live.size() < space.max_ranges) {
				Request r{below(4) ? 1 + below(32) : 1 + below(200),
					  std::uint64_t{1} << below(7), 0};
				const std::uint64_t limits[] = {300, 1023, 2500, 4095, 5000};
				r.limit = limits[below(5)];
				std::uint64_t hint = hint_of(tree);
				auto handle = tree.alloc_handle(r.size, r.align, r.limit);
				std::uint64_t got = handle ? handle->lo : kNone;
				ASSERT_TRUE(judge(tree, hint, oracle, r, got, space, paths_))
					<< "operation " << i << ": " << r.size << " aligned " << r.align
					<< " under " << r.limit << " gave " << got;
				if (handle) {
					ASSERT_TRUE(oracle.take(got, r.size)) << "operation " << i;
					live.push_back({got, r.size, handle});
				}
			}
			ASSERT_EQ(tree.live(), oracle.size());
			ASSERT_TRUE(tree.verify()) << "operation " << i;
		}
	}

	Paths paths_;
};

using Contestants = ::testing::Types<LinearRbtree, Exact, Padded>;
TYPED_TEST_SUITE(BaselinesTest, Contestants);

TYPED_TEST(BaselinesTest, MatchesTheOracleOnRandomOperations)
{
	for (std::uint64_t seed = 1; seed <= 6 && !this->HasFatalFailure(); ++seed)
		this->random_run(seed, 12000);
	EXPECT_GT(this->paths_.fits, 1000u);
	EXPECT_GT(this->paths_.full, 1000u);
	// Only the hint may refuse what fits, and only the search that pads may miss it.
	bool hinted = std::is_same_v<TypeParam, LinearRbtree>;
	bool padded = std::is_same_v<TypeParam, Padded>;
	EXPECT_EQ(this->paths_.refused_by_hint > 0, hinted);
	EXPECT_EQ(this->paths_.blind > 0, padded);
}

TYPED_TEST(BaselinesTest, GoesTopDown)
{
	TypeParam tree(Space{});
	for (std::uint64_t i = 0; i < 16; ++i)
		EXPECT_EQ(tree.alloc(1, 1, kL32), kL32 - i);
	for (std::uint64_t i = 0; i < 16; ++i)
		EXPECT_EQ(tree.alloc(1, 1, kL64), kL64 - i);
	EXPECT_TRUE(tree.verify());
}

TYPED_TEST(BaselinesTest, FillsEveryPageThenRefuses)
{
	TypeParam tree(Space{.first = 1, .last = 300, .max_ranges = 400});
	std::set<std::uint64_t> seen;
	for (unsigned i = 0; i < 300; ++i)
		seen.insert(tree.alloc(1, 1, kL32));
	EXPECT_EQ(seen.size(), 300u);
	EXPECT_EQ(*seen.begin(), 1u);
	EXPECT_EQ(tree.alloc(1, 1, kL32), kNone);
	EXPECT_TRUE(tree.free_address(77, 1));
	EXPECT_EQ(tree.alloc(1, 1, kL32), 77u);
}

TYPED_TEST(BaselinesTest, RefusesWhenOutOfObjects)
{
	TypeParam tree(Space{.max_ranges = 2});
	EXPECT_NE(tree.alloc(1, 1, kL32), kNone);
	EXPECT_NE(tree.alloc(1, 1, kL32), kNone);
	EXPECT_EQ(tree.alloc(1, 1, kL32), kNone);
	EXPECT_TRUE(tree.verify());
}

TYPED_TEST(BaselinesTest, FallsBelowEightThousandRanges)
{
	TypeParam tree(Space{.max_ranges = 8002});
	for (unsigned i = 0; i < 8000; ++i)
		tree.alloc(1, 1, kL32);
	EXPECT_EQ(tree.alloc(32, 32, kL32), 0xFE0A0u);
	EXPECT_EQ(tree.alloc(32, 32, kL64), 0xFFFFE0u);
}

TEST(AugmentedRbtreeTest, PaddedSearchPassesOverAnExactAlignedHole)
{
	Exact exact(Space{});
	Padded padded(Space{});
	for (unsigned i = 0; i < 64; ++i) {
		exact.alloc(2, 2, kL32);
		padded.alloc(2, 2, kL32);
	}
	EXPECT_TRUE(exact.free_address(0xFFFFC, 2));
	EXPECT_TRUE(padded.free_address(0xFFFFC, 2));
	EXPECT_EQ(exact.alloc(2, 2, kL32), 0xFFFFCu);
	EXPECT_EQ(padded.alloc(2, 2, kL32), 0xFFF7Eu);
}

TEST(LinearRbtreeTest, HintRefusesWhatWouldFitUntilAFree)
{
	LinearRbtree tree(Space{});
	EXPECT_EQ(tree.alloc(1, 1, kL32), kL32);
	EXPECT_EQ(tree.alloc(64, 64, 31), kNone);
	EXPECT_EQ(tree.alloc(64, 64, kL32), kNone); // poisoned by the failure under 31
	EXPECT_NE(tree.alloc(64, 64, kL64), kNone);
	EXPECT_TRUE(tree.free_address(kL32, 1));
	EXPECT_EQ(tree.alloc(64, 64, kL32), 0xFFFC0u);
}

struct Weighed : RbHook<Weighed> {
	unsigned weight = 0, heaviest = 0;
};

struct Heaviest {
	static unsigned of(const Weighed &n)
	{
		unsigned heaviest = n.weight;
		for (const Weighed *c : n.child)
			heaviest = std::max(heaviest, c ? c->heaviest : 0);
		return heaviest;
	}
	static bool update(Weighed &n) { return std::exchange(n.heaviest, of(n)) != n.heaviest; }
	static void copy(const Weighed &from, Weighed &to) { to.heaviest = from.heaviest; }
	static bool holds(const Weighed &n) { return n.heaviest == of(n); }
};

TEST(RbTreeTest, StaysBalancedAndSummarisedWhereverNodesGo)
{
	// Ascending, descending and random insertion and removal of up to 64 nodes.
	for (unsigned order = 0; order < 9; ++order) {
		RbTree<Weighed, Heaviest> tree;
		std::vector<Weighed> nodes(64);
		std::vector<Weighed *> in{&nodes[0]};
		std::mt19937 random(order);
		for (Weighed &n : nodes)
			n.weight = random() % 1000;
		auto pick = [&](unsigned how, std::size_t n) {
			return how == 0 ? 0 : how == 1 ? n - 1 : random() % n;
		};
		tree.insert_first(&nodes[0]);
		for (std::size_t i = 1; i < nodes.size(); ++i) {
			std::size_t at = pick(order % 3, in.size());
			tree.insert_before(in[at], &nodes[i]);
			in.insert(in.begin() + static_cast<std::ptrdiff_t>(at), &nodes[i]);
			ASSERT_TRUE(tree.verify()) << "order " << order << ", insert " << i;
		}
		while (in.size() > 1) {
			std::size_t at = pick(order / 3, in.size());
			tree.erase(in[at]);
			in.erase(in.begin() + static_cast<std::ptrdiff_t>(at));
			ASSERT_TRUE(tree.verify()) << "order " << order << ", left " << in.size();
			const Weighed *n = tree.first();
			for (const Weighed *expected : in) {
				ASSERT_EQ(n, expected);
				n = tree.next(n);
			}
			ASSERT_EQ(n, nullptr);
		}
	}
}

}  // namespace
