// SPDX-License-Identifier: BSD-3-Clause
// The unit tests of the kernel's series, with the values of an exact top-down allocator.
#include <algorithm>
#include <random>

#include "../test_domain.h"

namespace iovad::test {
namespace {

// Page frame numbers, inclusive.
constexpr uint64_t kL32 = 0xFFFFF, kL33 = 0x1FFFFF, kL56 = (uint64_t{1} << 44) - 1, kL64 = 0x1000000;

uint64_t power_of_two_from(uint64_t pages) { return std::bit_ceil(pages); }

// Speaks in pages, as the cases do.
class KunitCases : public testing::Test {
protected:
	static iovad_domain_conf conf(uint64_t max_ranges = 0)
	{
		iovad_domain_conf c = conf_of(kPage, (uint64_t{1} << 56) - 1, IOVAD_DOMAIN_F_NO_CACHE);
		c.max_ranges = max_ranges;
		return c;
	}

	int try_alloc(uint64_t pages, uint64_t limit, bool aligned, uint64_t &pfn)
	{
		rte_iova_t iova = 0;
		const int rc = iovad_alloc_range(domain_, pages * kPage,
						 aligned ? power_of_two_from(pages) * kPage : kPage,
						 (limit + 1) * kPage - 1, &iova);
		pfn = iova / kPage;
		return rc;
	}
	uint64_t alloc(uint64_t pages, uint64_t limit, bool aligned = false)
	{
		uint64_t pfn = 0;
		EXPECT_EQ(0, try_alloc(pages, limit, aligned, pfn));
		held_.push_back({pfn, pages});
		return pfn;
	}
	void free(uint64_t pfn, uint64_t pages)
	{
		ASSERT_EQ(0, iovad_free_range(domain_, pfn * kPage, pages * kPage));
		std::erase(held_, Held{pfn, pages});
	}
	void verify() { EXPECT_EQ(0, iovad_verify(domain_, stderr)); }
	bool found(uint64_t pfn, iovad_range &range) { return iovad_find(domain_, pfn * kPage, &range) == 0; }

	void TearDown() override
	{
		verify();
		for (const Held &h : held_)
			EXPECT_EQ(0, iovad_free_range(domain_, h.pfn * kPage, h.pages * kPage));
		EXPECT_EQ(0u, state_of(domain_).live_ranges);
	}

	struct Held {
		uint64_t pfn, pages;
		bool operator==(const Held &) const = default;
	};
	std::vector<Held> held_;
	TestDomain domain_{conf()};
};

TEST_F(KunitCases, BasicAllocFree)
{
	EXPECT_EQ(0xFFFFFu, alloc(1, kL32));
	free(0xFFFFF, 1);
	EXPECT_EQ(0xFFFFFu, alloc(1, kL32));
}

TEST_F(KunitCases, SizeAligned)
{
	for (unsigned k = 0; k < 8; ++k) {
		const uint64_t pages = uint64_t{1} << k;
		EXPECT_EQ(0x100000 - pages, alloc(pages, kL32, true));
		free(0x100000 - pages, pages);
	}
}

TEST_F(KunitCases, TopDownPreference)
{
	for (uint64_t i = 0; i < 16; ++i)
		EXPECT_EQ(0xFFFFF - i, alloc(1, kL32));
}

TEST_F(KunitCases, LimitRespected)
{
	for (uint64_t i = 0; i < 100; ++i)
		EXPECT_EQ(0xFFFFF - i, alloc(1, kL32));
}

TEST_F(KunitCases, Reserve)
{
	constexpr uint64_t kBytes = (0xFFFFF - 0x7FFFF + 1) * kPage;
	ASSERT_EQ(0, iovad_reserve(domain_, 0x7FFFF * kPage, kBytes));
	for (uint64_t i = 0; i < 100; ++i)
		EXPECT_EQ(0x7FFFE - i, alloc(1, kL32));
	EXPECT_EQ(kBytes, stats_of(domain_).reserved_bytes);
}

TEST_F(KunitCases, Find)
{
	EXPECT_EQ(0xFFFFCu, alloc(4, kL32, true));
	iovad_range range;
	for (const uint64_t pfn : {0xFFFFC, 0xFFFFF}) {
		ASSERT_TRUE(found(pfn, range));
		EXPECT_EQ(0xFFFFC * kPage, range.iova);
		EXPECT_EQ(4 * kPage, range.len);
		EXPECT_EQ(uint32_t{IOVAD_RANGE_LIVE}, range.state);
		EXPECT_EQ(nullptr, range.va);
	}
	EXPECT_FALSE(found(0x100000, range));
	EXPECT_FALSE(found(0xFFFFB, range));
}

TEST_F(KunitCases, A32BitRequestInA64BitDomain)
{
	for (uint64_t i = 0; i < 1000; ++i)
		ASSERT_EQ(0x1000000 - i, alloc(1, kL64, true));
	EXPECT_EQ(0xFFFFFu, alloc(1, kL32));
}

TEST_F(KunitCases, AlignedInFragmented)
{
	std::vector<uint64_t> pfns;
	for (int i = 0; i < 64; ++i)
		pfns.push_back(alloc(2, kL32, true));
	for (size_t i = 0; i < pfns.size(); i += 2)
		free(pfns[i], 2);
	verify();
	EXPECT_EQ(0xFFFFEu, alloc(2, kL32, true));
}

TEST_F(KunitCases, A32BitFirstPatternFallsBackAsOftenAsItMust)
{
	for (const auto &[limit, expected] : {std::pair{1024, 87}, std::pair{256, 395}}) {
		int fell_back = 0;
		for (uint64_t i = 0; i < 500; ++i) {
			const uint64_t pages = i % 4 + 1;
			uint64_t pfn;
			if (const int rc = try_alloc(pages, static_cast<uint64_t>(limit), true, pfn); rc == 0) {
				held_.push_back({pfn, pages});
				continue;
			} else {
				EXPECT_EQ(-ENOSPC, rc);
			}
			++fell_back;
			alloc(pages, kL64, true);
		}
		EXPECT_EQ(expected, fell_back) << "limit " << limit;
		verify();
		while (!held_.empty())
			free(held_.back().pfn, held_.back().pages);
	}
}

TEST_F(KunitCases, StressRandom)
{
	constexpr uint64_t kLimits[] = {kL32, kL33, kL56, kL64};
	std::mt19937_64 random(20260801);
	std::vector<Held> slots(512);
	unsigned taken[4][2] = {}, freed = 0;
	for (int i = 0; i < 2048; ++i) {
		Held &slot = slots[random() % slots.size()];
		if (slot.pages != 0) {
			free(slot.pfn, slot.pages);
			slot.pages = 0;
			++freed;
		} else {
			const unsigned limit = random() % 4;
			const bool aligned = random() % 2;
			slot.pages = random() % 8 + 1;
			slot.pfn = alloc(slot.pages, kLimits[limit], aligned);
			ASSERT_LE(slot.pfn + slot.pages - 1, kLimits[limit]);
			ASSERT_TRUE(!aligned || slot.pfn % power_of_two_from(slot.pages) == 0);
			++taken[limit][aligned];
		}
		verify();
	}
	EXPECT_GT(freed, 400u);
	for (const auto &by_alignment : taken) {
		EXPECT_GT(by_alignment[0], 50u);
		EXPECT_GT(by_alignment[1], 50u);
	}
}

TEST_F(KunitCases, ArbitraryLimits)
{
	for (int i = 0; i < 1000; ++i)
		alloc(1, kL64);
	EXPECT_EQ(0x1FFFFFu, alloc(1, kL33));
	EXPECT_EQ(kL56, alloc(1, kL56));
}

TEST_F(KunitCases, FullSpace)
{
	uint64_t pfn;
	while (try_alloc(1, 16384, false, pfn) == 0)
		held_.push_back({pfn, 1});
	EXPECT_EQ(16384u, held_.size());
	const iovad_domain_stats before = stats_of(domain_);
	EXPECT_EQ(-ENOSPC, try_alloc(2, 16384, false, pfn));
	const iovad_domain_stats after = stats_of(domain_);
	EXPECT_EQ(before.fail_nospace + 1, after.fail_nospace);
	EXPECT_EQ(before.tree_nodes, after.tree_nodes);
}

TEST_F(KunitCases, Fragmented32Bit)
{
	for (int i = 0; i < 8000; ++i)
		alloc(1, kL32);
	EXPECT_EQ(0xFE0A0u, alloc(32, kL32, true));
	EXPECT_EQ(0xFFFFE0u, alloc(32, kL64, true));
}

// The two cases about deferral, for a tree that has no need to defer: with the pool of
// nodes used up, a free succeeds and its effect is there at once.
class KunitDeferred : public testing::Test {
protected:
	// Every other page under L32, from the top, so that nothing merges.
	void exhaust_nodes()
	{
		rte_iova_t iova;
		int rc;
		while ((rc = iovad_alloc_range(domain_, kPage, 2 * kPage, kLimit32, &iova)) == 0)
			held_.push_back(iova);
		ASSERT_EQ(-EAGAIN, rc);
		ASSERT_GE(held_.size(), 64u);
	}
	void free(rte_iova_t iova)
	{
		const uint64_t nodes = stats_of(domain_).tree_nodes;
		ASSERT_EQ(0, iovad_free_range(domain_, iova, kPage));
		EXPECT_LE(stats_of(domain_).tree_nodes, nodes);
		EXPECT_EQ(0, iovad_verify(domain_, stderr));
		std::erase(held_, iova);
	}
	void TearDown() override
	{
		while (!held_.empty())
			free(held_.back());
	}
	static iovad_domain_conf conf()
	{
		iovad_domain_conf c = conf_of(kPage, kLimit32, IOVAD_DOMAIN_F_NO_CACHE);
		c.max_ranges = 64;
		return c;
	}

	std::vector<rte_iova_t> held_;
	TestDomain domain_{conf()};
};

TEST_F(KunitDeferred, EraseWithoutNodesTakesEffectAtOnce)
{
	const rte_iova_t top = domain_.alloc_range(kPage, kPage, kLimit32);
	ASSERT_EQ(0xFFFFF * kPage, top);
	held_.push_back(top);
	exhaust_nodes();
	free(top);
	iovad_range range;
	EXPECT_EQ(-ENOENT, iovad_find(domain_, top, &range));
	// What else was freed brings nodes back.
	while (held_.size() > 8)
		free(held_.back());
	held_.push_back(domain_.alloc_range(kPage, kPage, kLimit32));
	EXPECT_EQ(top, held_.back());
}

TEST_F(KunitDeferred, TeardownWithNodesExhaustedLosesNothing)
{
	exhaust_nodes();
	EXPECT_EQ(-EBUSY, iovad_domain_destroy(domain_));
	EXPECT_EQ(held_.size(), stats_of(domain_).live_ranges);
}

TEST_F(KunitDeferred, FreeNeedsNoNode)
{
	exhaust_nodes();
	free(held_.front());                     // at the upper end
	free(held_.back());                      // at the lower one
	free(held_[held_.size() / 2]);           // between live ones
	free(held_[held_.size() / 2]);           // next to what was just freed
	free(held_[held_.size() / 2 - 1]);
}

}  // namespace
}  // namespace iovad::test
