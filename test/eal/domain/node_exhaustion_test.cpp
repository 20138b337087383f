// SPDX-License-Identifier: BSD-3-Clause
// The pool of nodes used up: -EAGAIN with nothing changed, free still works, and what
// was freed can be had again.
#include "../test_domain.h"

namespace iovad::test {
namespace {

constexpr uint64_t kRanges = 64;

class NodeExhaustion : public testing::TestWithParam<uint32_t> {
protected:
	struct Held {
		rte_iova_t iova;
		uint64_t len;
	};

	// Ranges with gaps between them need two keys each, ranges without need one: take
	// both until nothing goes in any more.
	void SetUp() override
	{
		fill(2 * kPage, 4 * kPage);
		fill(4 * kPage, kPage);
		ASSERT_GE(held_.size(), kRanges) << "max_ranges are promised";
	}
	void TearDown() override { free_all_but(0); }
	void fill(uint64_t len, uint64_t align)
	{
		rte_iova_t iova;
		int rc;
		while ((rc = iovad_alloc_range(domain_, len, align, kNoLimit, &iova)) == 0)
			held_.push_back({iova, len});
		ASSERT_EQ(-EAGAIN, rc);
	}
	void free_all_but(size_t kept)
	{
		for (; held_.size() > kept; held_.pop_back())
			ASSERT_EQ(0, iovad_free_range(domain_, held_.back().iova, held_.back().len));
	}
	static iovad_domain_conf conf()
	{
		iovad_domain_conf c = conf_of(kPage, (uint64_t{1} << 40) - 1, GetParam());
		c.max_ranges = kRanges;
		return c;
	}

	TestDomain domain_{conf()};
	std::vector<Held> held_;
	rte_iova_t out_[64] = {};
};

INSTANTIATE_TEST_SUITE_P(Domains, NodeExhaustion,
			 testing::Values(0u, IOVAD_DOMAIN_F_NO_CACHE, IOVAD_DOMAIN_F_DEBUG),
			 [](const auto &p) {
				 return p.param == 0 ? "Cached" : p.param == IOVAD_DOMAIN_F_NO_CACHE ? "NoCache" : "Debug";
			 });

TEST_P(NodeExhaustion, EveryInsertionSaysAgainAndChangesNothing)
{
	const iovad_domain_stats before = stats_of(domain_);
	expect_refused(domain_, EAGAIN, [&] { return iovad_alloc_range(domain_, 2 * kPage, 4 * kPage, kNoLimit, out_); });
	expect_refused(domain_, EAGAIN, [&] { return iovad_alloc(domain_, 4 * kPage, kNoLimit, out_); });
	expect_refused(domain_, EAGAIN, [&] { return iovad_alloc_bulk(domain_, 4 * kPage, kNoLimit, out_, 64); });
	expect_refused(domain_, EAGAIN, [&] { return iovad_reserve(domain_, 1000 * kPage, kPage); });
	const iovad_domain_stats after = stats_of(domain_);
	EXPECT_EQ(before.fail_again + 4, after.fail_again);
	EXPECT_EQ(before.fail_nospace, after.fail_nospace) << "again is not no space";
	EXPECT_EQ(before.tree_nodes, after.tree_nodes);
	EXPECT_EQ(0u, out_[0]);
}

TEST_P(NodeExhaustion, NoSpaceIsToldFromAgain)
{
	// Under this limit nothing could fit, whatever nodes there were.
	expect_refused(domain_, ENOSPC, [&] {
		return iovad_alloc_range(domain_, 8 * kPage, kPage, 8 * kPage - 1, out_);
	});
}

TEST_P(NodeExhaustion, EveryRangeCanBeFreedAndTakenAgain)
{
	const size_t most = held_.size();
	for (int round = 0; round < 3; ++round) {
		for (size_t kept = most; kept-- > 0;) {
			free_all_but(kept);
			ASSERT_EQ(0, iovad_verify(domain_, stderr));
		}
		EXPECT_EQ(0u, stats_of(domain_).live_ranges);
		fill(2 * kPage, 4 * kPage);
		fill(4 * kPage, kPage);
		if (GetParam() == IOVAD_DOMAIN_F_DEBUG)  // what comes back late leaves nodes that are less full
			EXPECT_GE(held_.size(), kRanges);
		else
			EXPECT_EQ(most, held_.size());
	}
}

TEST_P(NodeExhaustion, ReservationsWorkAgainAfterFrees)
{
	free_all_but(kRanges / 2);
	EXPECT_EQ(0, iovad_reserve(domain_, 1000 * kPage, 9 * kPage));
	// A part from the middle, which makes two of one.
	EXPECT_EQ(0, iovad_unreserve(domain_, 1004 * kPage, kPage));
	EXPECT_EQ(8 * kPage, stats_of(domain_).reserved_bytes);
	EXPECT_EQ(0, iovad_unreserve(domain_, 1000 * kPage, 4 * kPage));
	EXPECT_EQ(0, iovad_unreserve(domain_, 1005 * kPage, 4 * kPage));
}

// The same from the other side: a part needs a node, which may come later.
TEST_P(NodeExhaustion, APartOfAReservationIsGivenBackWithoutANode)
{
	free_all_but(held_.size() / 2);
	ASSERT_EQ(0, iovad_reserve(domain_, 1000 * kPage, 9 * kPage));
	fill(2 * kPage, 4 * kPage);
	fill(4 * kPage, kPage);
	EXPECT_EQ(0, iovad_unreserve(domain_, 1004 * kPage, kPage));
	EXPECT_EQ(8 * kPage, stats_of(domain_).reserved_bytes);
	expect_refused(domain_, ENOENT, [&] { return iovad_unreserve(domain_, 1000 * kPage, 9 * kPage); });
	EXPECT_EQ(0, iovad_unreserve(domain_, 1000 * kPage, 4 * kPage));
	EXPECT_EQ(0, iovad_unreserve(domain_, 1005 * kPage, 4 * kPage));
	EXPECT_EQ(0u, stats_of(domain_).reserved_bytes);
	EXPECT_EQ(0, iovad_verify(domain_, stderr));
}

// Ranges that caches hold need nodes too, and give them back.
TEST(NodeExhaustionCached, CachesAreReclaimedForTheirNodes)
{
	iovad_domain_conf conf = conf_of(kPage, (uint64_t{1} << 40) - 1);
	conf.max_ranges = kRanges;
	TestDomain d(conf);
	// Every other one goes into the caches, the rest stays: nothing merges.
	std::vector<rte_iova_t> held, cached;
	rte_iova_t iova;
	int rc;
	while ((rc = iovad_alloc(d, kPage, kNoLimit, &iova)) == 0)
		held.push_back(iova);
	ASSERT_EQ(-EAGAIN, rc);
	const size_t most = held.size();
	for (size_t i = 0; i < most / 2; ++i, held.pop_back())
		ASSERT_EQ(0, iovad_free(d, held.back(), kPage));
	ASSERT_GT(stats_of(d).cached_ranges, 0u);
	const uint64_t reclaims = stats_of(d).reclaims;
	while ((rc = iovad_alloc_range(d, kPage, kPage, kNoLimit, &iova)) == 0)
		cached.push_back(iova);
	EXPECT_EQ(-EAGAIN, rc);
	// Taken one by one they may fill the last leaf less than in rows.
	constexpr size_t kLeaf = 62;
	EXPECT_GE(held.size() + cached.size() + kLeaf, most);
	EXPECT_EQ(held.size() + cached.size(), stats_of(d).live_ranges) << "none is lost";
	EXPECT_EQ(0u, stats_of(d).cached_ranges);
	EXPECT_GT(stats_of(d).reclaims, reclaims);
	for (const rte_iova_t c : cached)
		EXPECT_EQ(0, iovad_free_range(d, c, kPage));
	EXPECT_EQ(held.size(), stats_of(d).live_ranges);
	d.free_all(held, kPage);
}

}  // namespace
}  // namespace iovad::test
