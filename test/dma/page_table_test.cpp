// SPDX-License-Identifier: BSD-3-Clause
// A walk that is overtaken: between any two of its loads the tables it is in are unlinked
// and used for something else, at the same level or at another.
#include <gtest/gtest.h>

#include "dma/soft/page_table.h"

namespace iovad::dma::soft {
namespace {

constexpr uint64_t k4K = uint64_t{1} << 12, k2M = uint64_t{1} << 21, k1G = uint64_t{1} << 30;
constexpr uint64_t kVa = 0x7f0000000000;
constexpr uint64_t kAll = uint64_t{1} << 63;

struct Mapping {
	uint64_t iova, va, len;
};

// What is looked for: a page in tables of its own, with an index of its own at each level.
constexpr uint64_t kIova = 1 * (k1G << 9) + 1 * k1G + 1 * k2M + 1 * k4K;
constexpr Mapping kFirst{kIova, kVa, k4K};
constexpr uint64_t kOther = kVa + 64 * k1G;

// What takes its place and its tables. All differ from it in some index and agree in
// others, so that a walk that is in the wrong table finds something there.
const Mapping kNext[] = {
	{kIova + 2 * k2M, kOther, k4K},
	{kIova + 2 * k1G, kOther, k4K},
	{kIova + 2 * (k1G << 9), kOther, k4K},
	{kIova + 2 * (k1G << 9) - k4K, kOther, 16 * k4K},
	{kIova - k4K + 3 * k1G, kOther, k2M},
	{kIova - k4K + 3 * (k1G << 9), kOther, k2M},
	{kIova - k2M - k4K + 4 * k1G, kOther, k1G},
	{kIova - k2M - k4K + 4 * (k1G << 9), kOther, k1G},
	{kIova - k2M - k4K + 5 * (k1G << 9), kOther + k4K, k1G},       // 512 tables of small pages
	{kIova - k1G - k2M - k4K + 6 * (k1G << 9), kOther, 3 * k1G},   // large ones in a table that was
};

class OvertakenWalkTest : public testing::TestWithParam<unsigned> {
protected:
	std::unique_ptr<PageTable> make()
	{
		auto pages = std::make_unique<PageTable>(GetParam(), k4K | k2M | k1G, kAll);
		EXPECT_TRUE(pages->make_root());
		map(*pages, kFirst);
		return pages;
	}
	static void map(PageTable &pages, const Mapping &m)
	{
		ASSERT_TRUE(pages.map(m.iova, m.va, m.len, Entry::kAccess));
	}
	unsigned loads() const { return (GetParam() - 12 + 8) / 9; }
};

TEST_P(OvertakenWalkTest, FindsWhatWasThereOrNothing)
{
	unsigned again = 0;
	for (const Mapping &next : kNext) {
		for (unsigned stop = 1; stop <= loads(); ++stop) {
			const auto pages = make();
			unsigned step = 0;
			const Leaf leaf = pages->find(kIova, [&] {
				if (++step != stop)
					return;
				pages->unmap(kFirst.iova, kFirst.len);
				map(*pages, next);
			});
			// With the last load it has what it looks for, but looks again.
			EXPECT_TRUE(leaf.entry.empty() || leaf.va(kIova) == kVa)
				<< std::hex << next.iova << " at load " << stop;
			again += step > loads();
			ASSERT_TRUE(pages->verify(stderr));
		}
	}
	EXPECT_GT(again, 0u);
}

TEST_P(OvertakenWalkTest, FindsWhatHasTakenItsPlace)
{
	for (unsigned stop = 1; stop <= loads(); ++stop) {
		const auto pages = make();
		unsigned step = 0;
		const Leaf leaf = pages->find(kIova, [&] {
			if (++step != stop)
				return;
			pages->unmap(kFirst.iova, kFirst.len);
			map(*pages, kNext[0]);
			map(*pages, {kIova, kVa + k2M, k4K});
		});
		EXPECT_EQ(leaf.va(kIova), kVa + k2M);
	}
}

TEST_P(OvertakenWalkTest, IsOvertakenSeveralTimes)
{
	const auto pages = make();
	unsigned times = 0;
	const Leaf leaf = pages->find(kIova, [&] {
		if (++times > 20)
			return;
		pages->unmap(kFirst.iova, kFirst.len);
		map(*pages, kNext[times % 3]);
		pages->unmap(kNext[times % 3].iova, kNext[times % 3].len);
		map(*pages, kFirst);
	});
	EXPECT_EQ(leaf.va(kIova), kVa);
	EXPECT_GT(times, 20u);
}

TEST_P(OvertakenWalkTest, IsNotDisturbedByWhatNeedsNoTables)
{
	const auto pages = make();
	unsigned steps = 0;
	const Leaf leaf = pages->find(kIova, [&] {
		++steps;
		map(*pages, {kIova + k4K, kOther, k4K});
		pages->unmap(kIova + k4K, k4K);
	});
	EXPECT_EQ(leaf.va(kIova), kVa);
	EXPECT_EQ(steps, loads());
}

INSTANTIATE_TEST_SUITE_P(Widths, OvertakenWalkTest, testing::Values(48u, 57u));

}  // namespace
}  // namespace iovad::dma::soft
