// SPDX-License-Identifier: BSD-3-Clause
// The tree against an oracle: one flag per granule, searched from the top. Every result
// is compared; verify() runs after every step in small spaces. A failing list of instructions is
// printed with its seed; IOVAD_TEST_SEED replays it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <vector>

#include "tree_fixture.h"

namespace iovad::core {
namespace {

// Ranges by start; gaps are what lies between them.
class Oracle {
public:
	Oracle(Pfn first, Pfn end) : first_(first), end_(end) {}

	// The highest fit: every gap from the top.
	bool highest(uint64_t size, uint64_t align, Pfn limit, Pfn &start) const
	{
		Pfn top = end_;
		for (auto it = ranges_.rbegin(); it != ranges_.rend(); ++it) {
			if (fit(it->second.end, top, size, align, limit, start))
				return true;
			top = it->first;
		}
		return fit(first_, top, size, align, limit, start);
	}
	bool is_free(Pfn start, Pfn end) const
	{
		auto it = ranges_.lower_bound(end);
		return it == ranges_.begin() || std::prev(it)->second.end <= start;
	}
	Extent find(Pfn pfn) const
	{
		auto next = ranges_.upper_bound(pfn);
		Pfn low = first_;
		if (next != ranges_.begin()) {
			const Extent &before = std::prev(next)->second;
			if (pfn < before.end)
				return before;
			low = before.end;
		}
		return {low, next == ranges_.end() ? end_ : next->first, 0};
	}
	void add(Extent e) { ranges_.emplace(e.start, e); }
	void remove(Pfn start) { ranges_.erase(start); }
	const std::map<Pfn, Extent> &ranges() const { return ranges_; }

private:
	static bool fit(Pfn s, Pfn e, uint64_t size, uint64_t align, Pfn limit, Pfn &start)
	{
		if (limit < e)
			e = limit + 1;
		if (e < size)
			return false;
		start = (e - size) & ~(align - 1);
		return start >= s;
	}

	Pfn first_, end_;
	std::map<Pfn, Extent> ranges_;
};

struct Space {
	const char *name;
	Pfn first, end;
	uint64_t largest;  // requests
	uint32_t nodes;
	int steps;
	int verify_every;
};

// Small spaces fill up, fragment and refuse; wide ones have height and long gaps.
const Space kSpaces[] = {
	{"tiny", 1, 40, 8, 64, 4000, 1},
	{"small", 1, 700, 24, 128, 6000, 1},
	{"medium", 3, 90011, 40, 1024, 60000, 8},
	{"starved", 1, 20011, 4, 12, 12000, 1},
	{"wide", 1, (Pfn{1} << 36), Pfn{1} << 30, 512, 6000, 1},
	{"whole", 1, kMaxPfn, Pfn{1} << 50, 512, 6000, 1},
};

struct Coverage {
	int allocs = 0, no_space = 0, again = 0, erases = 0, not_found = 0, claims = 0, exists = 0;
	int unaligned = 0, natural = 0, odd = 0, limited = 0;
	uint32_t tallest = 0;
};

class ModelTest : public testing::TestWithParam<Isa> {
protected:
	void SetUp() override
	{
		if (!isa_supported(GetParam()))
			GTEST_SKIP() << "this machine has no " << isa_name(GetParam());
		select_isa(GetParam());
	}
	void TearDown() override { select_isa(Isa::best); }

	static uint64_t seed()
	{
		const char *given = std::getenv("IOVAD_TEST_SEED");
		return given ? std::strtoull(given, nullptr, 0) : 20261121;
	}
};

class ModelRun {
public:
	ModelRun(const Space &space, uint64_t seed)
		: space_(space), tree_(space.first, space.end, space.nodes),
		  oracle_(space.first, space.end), random_(seed)
	{
	}

	void step(int i)
	{
		// Waves: mostly taking, then mostly giving back.
		const bool growing = (i / (space_.steps / 6)) % 2 == 0;
		const uint64_t dice = random_.below(100);
		if (dice < (growing ? 62u : 25u))
			alloc();
		else if (dice < 92)
			erase();
		else if (dice < 96)
			claim();
		else
			look();
		if (i % space_.verify_every == 0) {
			ASSERT_TRUE(tree_.tree.verify(stderr));
		}
		seen.tallest = std::max(seen.tallest, tree_.tree.height());
	}

	void empty()
	{
		while (!oracle_.ranges().empty()) {
			erase_one(pick());
			ASSERT_FALSE(testing::Test::HasFatalFailure());
		}
		ASSERT_TRUE(tree_.tree.verify(stderr));
		EXPECT_EQ(tree_.pool.used(), 1u);
		EXPECT_EQ(tree_.tree.free_granules(), space_.end - space_.first);
	}

	Coverage seen;

private:
	uint64_t size()
	{
		const uint64_t bits = random_.below(std::bit_width(space_.largest)) + 1;
		return 1 + random_.below(std::min(uint64_t{1} << bits, space_.largest));
	}

	void alloc()
	{
		uint64_t n = size(), align = 1;
		switch (random_.below(4)) {
		case 0: ++seen.unaligned; break;
		case 1: n = align = std::bit_ceil(n); ++seen.natural; break;
		case 2: align = std::bit_ceil(n); ++seen.odd; break;
		case 3: align = uint64_t{1} << random_.below(8); ++seen.odd; break;
		}
		Pfn limit = ~Pfn{0};
		if (random_.below(2)) {
			limit = random_.below(space_.end + 10);
			++seen.limited;
		}
		Pfn expected = 0;
		const bool fits = oracle_.highest(n, align, limit, expected);
		const Value value = static_cast<Value>(1 + random_.below(kValueMask));
		const Placement got = tree_.tree.alloc(n, align, limit, value);
		if (got.status == Status::again) {
			// Nothing changed: verify() and all later comparisons say so.
			++seen.again;
			ASSERT_TRUE(fits);
			return;
		}
		ASSERT_EQ(got.status, fits ? Status::ok : Status::no_space)
			<< n << " pages aligned to " << align << " under " << limit;
		if (!fits) {
			++seen.no_space;
			return;
		}
		++seen.allocs;
		ASSERT_EQ(got.start, expected) << n << " pages aligned to " << align << " under " << limit;
		oracle_.add({got.start, got.start + n, value});
	}

	Extent pick()
	{
		auto it = oracle_.ranges().lower_bound(space_.first +
						       random_.below(space_.end - space_.first));
		return it == oracle_.ranges().end() ? oracle_.ranges().begin()->second : it->second;
	}

	void erase()
	{
		if (oracle_.ranges().empty())
			return;
		const Extent e = pick();
		// What is not exactly a range of this value is refused first.
		const auto other = static_cast<Value>(e.value ^ 1);
		ASSERT_EQ(tree_.tree.erase(e.start, e.end + 1, e.value), Status::not_found);
		ASSERT_EQ(tree_.tree.erase(e.start, e.end, other), Status::not_found);
		if (e.end - e.start > 1) {
			ASSERT_EQ(tree_.tree.erase(e.start + 1, e.end, e.value), Status::not_found);
			ASSERT_EQ(tree_.tree.erase(e.start, e.end - 1, e.value), Status::not_found);
		}
		erase_one(e);
		ASSERT_EQ(tree_.tree.erase(e.start, e.end, e.value), Status::not_found);
		++seen.not_found;
	}

	void erase_one(Extent e)
	{
		++seen.erases;
		const uint32_t available = tree_.pool.available();
		ASSERT_EQ(tree_.tree.erase(e.start, e.end, e.value), Status::ok);
		ASSERT_GE(tree_.pool.available(), available) << "giving back took a node";
		oracle_.remove(e.start);
	}

	void claim()
	{
		const Pfn start = space_.first + random_.below(space_.end - space_.first);
		const Pfn end = std::min(start + size(), space_.end);
		const bool free = oracle_.is_free(start, end);
		const Status got = tree_.tree.claim(start, end, 7);
		if (got == Status::again) {
			++seen.again;
			return;
		}
		ASSERT_EQ(got, free ? Status::ok : Status::exists);
		++(free ? seen.claims : seen.exists);
		if (free)
			oracle_.add({start, end, 7});
	}

	void look()
	{
		const Pfn pfn = space_.first + random_.below(space_.end - space_.first);
		ASSERT_EQ(tree_.tree.find(pfn), oracle_.find(pfn));
	}

	const Space &space_;
	OwnedTree tree_;
	Oracle oracle_;
	Random random_;
};

TEST_P(ModelTest, EveryResultEqualsTheOracles)
{
	const uint64_t start = seed();
	Coverage all;
	for (const Space &space : kSpaces) {
		for (uint64_t s = start; s < start + 3; ++s) {
			SCOPED_TRACE(testing::Message() << "space " << space.name << ", IOVAD_TEST_SEED=" << s);
			ModelRun run(space, s);
			for (int i = 0; i < space.steps; ++i) {
				run.step(i);
				ASSERT_FALSE(HasFatalFailure()) << "at step " << i;
			}
			run.empty();
			ASSERT_FALSE(HasFatalFailure());
			all.allocs += run.seen.allocs;
			all.no_space += run.seen.no_space;
			all.again += run.seen.again;
			all.erases += run.seen.erases;
			all.not_found += run.seen.not_found;
			all.claims += run.seen.claims;
			all.exists += run.seen.exists;
			all.unaligned += run.seen.unaligned;
			all.natural += run.seen.natural;
			all.odd += run.seen.odd;
			all.limited += run.seen.limited;
			all.tallest = std::max(all.tallest, run.seen.tallest);
		}
	}
	// A path that random steps never took would be untested.
	EXPECT_GT(all.allocs, 1000);
	EXPECT_GT(all.no_space, 1000);
	EXPECT_GT(all.again, 100);
	EXPECT_GT(all.erases, 1000);
	EXPECT_GT(all.claims, 100);
	EXPECT_GT(all.exists, 100);
	EXPECT_GT(all.unaligned, 1000);
	EXPECT_GT(all.natural, 1000);
	EXPECT_GT(all.odd, 1000);
	EXPECT_GT(all.limited, 1000);
	EXPECT_GE(all.tallest, 2u);
}

INSTANTIATE_TEST_SUITE_P(Isas, ModelTest, testing::Values(Isa::portable, Isa::avx2, Isa::avx512),
			 [](const auto &p) {
				 return p.param == Isa::avx512 ? "Avx512"
				      : p.param == Isa::avx2   ? "Avx2"
							       : "Portable";
			 });

}  // namespace
}  // namespace iovad::core
