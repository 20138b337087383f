// SPDX-License-Identifier: BSD-3-Clause
// What the functions on addresses refuse: each leaves the domain as it was.
#include <functional>

#include "../test_domain.h"

namespace iovad::test {
namespace {

constexpr uint64_t kFirst = 16 * kPage, kPages = 256, kEnd = kFirst + kPages * kPage;

// Lengths that no domain of kPages can mean.
constexpr uint64_t kBadLengths[] = {
	0, 1, kPage - 1, kPage + 1, 3 * kPage / 2, (kPages + 1) * kPage, uint64_t{1} << 52, uint64_t{1} << 63,
	kNoLimit, kNoLimit - kPage + 1, kNoLimit - kPage,
};

// By flags: cached, exact, exact and talkative.
class BadInput : public testing::TestWithParam<uint32_t> {
protected:
	void SetUp() override
	{
		// So that a cached domain has something in its caches, and all have something live.
		kept_ = domain_.alloc(4 * kPage);
		ASSERT_EQ(0, iovad_free(domain_, domain_.alloc(kPage), kPage));
		range_ = domain_.alloc_range(3 * kPage, kPage, kNoLimit);
		ASSERT_EQ(0, iovad_reserve(domain_, kFirst, 2 * kPage));
	}
	void TearDown() override
	{
		EXPECT_EQ(0, iovad_free(domain_, kept_, 4 * kPage));
		EXPECT_EQ(0, iovad_free_range(domain_, range_, 3 * kPage));
		EXPECT_EQ(0, iovad_unreserve(domain_, kFirst, 2 * kPage));
	}
	void refused(int error, const std::function<int()> &call) { expect_refused(domain_, error, call); }
	static bool exact() { return GetParam() != 0; }

	TestDomain domain_{conf_of(kFirst, kEnd - 1, GetParam())};
	rte_iova_t kept_ = 0, range_ = 0;
	rte_iova_t out_[512] = {};
};

INSTANTIATE_TEST_SUITE_P(Domains, BadInput,
			 testing::Values(0u, IOVAD_DOMAIN_F_NO_CACHE, IOVAD_DOMAIN_F_DEBUG),
			 [](const auto &p) {
				 return p.param == 0 ? "Cached" : p.param == IOVAD_DOMAIN_F_NO_CACHE ? "NoCache" : "Debug";
			 });

TEST_P(BadInput, Null)
{
	iovad_range range;
	iovad_domain_stats stats;
	EXPECT_EQ(-EINVAL, iovad_alloc(nullptr, kPage, kNoLimit, out_));
	EXPECT_EQ(-EINVAL, iovad_free(nullptr, kFirst, kPage));
	EXPECT_EQ(-EINVAL, iovad_alloc_bulk(nullptr, kPage, kNoLimit, out_, 2));
	EXPECT_EQ(-EINVAL, iovad_free_bulk(nullptr, out_, kPage, 2));
	EXPECT_EQ(-EINVAL, iovad_alloc_range(nullptr, kPage, kPage, kNoLimit, out_));
	EXPECT_EQ(-EINVAL, iovad_free_range(nullptr, kFirst, kPage));
	EXPECT_EQ(-EINVAL, iovad_reserve(nullptr, kFirst, kPage));
	EXPECT_EQ(-EINVAL, iovad_unreserve(nullptr, kFirst, kPage));
	EXPECT_EQ(-EINVAL, iovad_find(nullptr, kFirst, &range));
	EXPECT_EQ(-EINVAL, iovad_verify(nullptr, stderr));
	EXPECT_EQ(-EINVAL, iovad_domain_stats_get(nullptr, &stats));
	refused(EINVAL, [&] { return iovad_alloc(domain_, kPage, kNoLimit, nullptr); });
	refused(EINVAL, [&] { return iovad_alloc_bulk(domain_, kPage, kNoLimit, nullptr, 2); });
	refused(EINVAL, [&] { return iovad_free_bulk(domain_, nullptr, kPage, 2); });
	refused(EINVAL, [&] { return iovad_alloc_range(domain_, kPage, kPage, kNoLimit, nullptr); });
	refused(EINVAL, [&] { return iovad_find(domain_, kFirst, nullptr); });
	refused(EINVAL, [&] { return iovad_domain_stats_get(domain_, nullptr); });
	EXPECT_EQ(0, iovad_verify(domain_, nullptr));
}

TEST_P(BadInput, Lengths)
{
	for (const uint64_t len : kBadLengths) {
		SCOPED_TRACE(len);
		refused(EINVAL, [&] { return iovad_alloc(domain_, len, kNoLimit, out_); });
		refused(EINVAL, [&] { return iovad_alloc_bulk(domain_, len, kNoLimit, out_, 3); });
		refused(EINVAL, [&] { return iovad_alloc_range(domain_, len, kPage, kNoLimit, out_); });
		refused(EINVAL, [&] { return iovad_free(domain_, kept_, len); });
		refused(EINVAL, [&] { return iovad_free_bulk(domain_, &kept_, len, 1); });
		refused(EINVAL, [&] { return iovad_free_range(domain_, range_, len); });
		refused(EINVAL, [&] { return iovad_reserve(domain_, kFirst + 8 * kPage, len); });
		refused(EINVAL, [&] { return iovad_unreserve(domain_, kFirst, len); });
	}
	EXPECT_EQ(0u, out_[0]) << "a failed call changes nothing";
}

TEST_P(BadInput, Alignments)
{
	for (const uint64_t align : {uint64_t{0}, uint64_t{1}, kPage - 1, kPage / 2, kPage + 1, 3 * kPage, kNoLimit})
		refused(EINVAL, [&] { return iovad_alloc_range(domain_, kPage, align, kNoLimit, out_); });
	// Good ones that nothing in the domain satisfies.
	for (const uint64_t align : {uint64_t{1} << 32, uint64_t{1} << 63})
		refused(ENOSPC, [&] { return iovad_alloc_range(domain_, kPage, align, kNoLimit, out_); });
}

TEST_P(BadInput, Limits)
{
	for (const uint64_t limit : {uint64_t{0}, uint64_t{1}, kPage, kFirst - 1}) {
		refused(EINVAL, [&] { return iovad_alloc(domain_, kPage, limit, out_); });
		refused(EINVAL, [&] { return iovad_alloc_bulk(domain_, kPage, limit, out_, 2); });
		refused(EINVAL, [&] { return iovad_alloc_range(domain_, kPage, kPage, limit, out_); });
	}
	// Inside the domain, but nothing fits.
	for (const uint64_t limit : {kFirst, kFirst + kPage - 2, kFirst + 2 * kPage - 1}) {
		refused(ENOSPC, [&] { return iovad_alloc(domain_, kPage, limit, out_); });
		refused(ENOSPC, [&] { return iovad_alloc_bulk(domain_, kPage, limit, out_, 2); });
		refused(ENOSPC, [&] { return iovad_alloc_range(domain_, kPage, kPage, limit, out_); });
	}
	// To the byte.
	refused(ENOSPC, [&] { return iovad_alloc_range(domain_, kPage, kPage, kFirst + 3 * kPage - 2, out_); });
	EXPECT_EQ(kFirst + 2 * kPage, domain_.alloc_range(kPage, kPage, kFirst + 3 * kPage - 1));
	EXPECT_EQ(0, iovad_free_range(domain_, kFirst + 2 * kPage, kPage));
	EXPECT_EQ(0u, out_[0]) << "a failed call changes nothing";
}

TEST_P(BadInput, AddressesOutsideTheWindow)
{
	iovad_range range;
	for (const rte_iova_t iova : {rte_iova_t{0}, kFirst - kPage, kEnd, kEnd + 64 * kPage, rte_iova_t{1} << 63,
				      kNoLimit - kPage + 1}) {
		SCOPED_TRACE(iova);
		refused(EINVAL, [&] { return iovad_free(domain_, iova, kPage); });
		refused(EINVAL, [&] { return iovad_free_bulk(domain_, &iova, kPage, 1); });
		refused(EINVAL, [&] { return iovad_free_range(domain_, iova, kPage); });
		refused(EINVAL, [&] { return iovad_reserve(domain_, iova, kPage); });
		refused(EINVAL, [&] { return iovad_unreserve(domain_, iova, kPage); });
		refused(ENOENT, [&] { return iovad_find(domain_, iova, &range); });
	}
	// Begins inside, ends outside.
	refused(EINVAL, [&] { return iovad_free(domain_, kEnd - 16 * kPage, 32 * kPage); });
	refused(EINVAL, [&] { return iovad_free_range(domain_, kEnd - kPage, 2 * kPage); });
	refused(EINVAL, [&] { return iovad_reserve(domain_, kEnd - kPage, 2 * kPage); });
	refused(EINVAL, [&] { return iovad_unreserve(domain_, kFirst - kPage, 2 * kPage); });
	refused(ENOENT, [&] { return iovad_find(domain_, kNoLimit, &range); });
}

TEST_P(BadInput, MisalignedAddresses)
{
	refused(EINVAL, [&] { return iovad_free(domain_, kept_ + 1, 4 * kPage); });
	refused(EINVAL, [&] { return iovad_free(domain_, kept_ + kPage, 4 * kPage); });
	refused(EINVAL, [&] { return iovad_free_range(domain_, range_ + 1, 3 * kPage); });
	refused(EINVAL, [&] { return iovad_reserve(domain_, kFirst + 8 * kPage + 1, kPage); });
	refused(EINVAL, [&] { return iovad_unreserve(domain_, kFirst + 8, kPage); });
	// One among good ones: none is freed.
	const rte_iova_t iovas[] = {kept_, kept_ + 1};
	refused(EINVAL, [&] { return iovad_free_bulk(domain_, iovas, 4 * kPage, 2); });
}

TEST_P(BadInput, DoubleAndForeignFreesWhereTheyAreLookedUp)
{
	// Above 64 pages every domain looks; an exact one always does.
	const uint64_t len = (exact() ? 4 : 65) * kPage, wrong = (exact() ? 2 : 66) * kPage;
	const rte_iova_t iova = domain_.alloc(len);
	refused(ENOENT, [&] { return iovad_free(domain_, iova, wrong); });
	EXPECT_EQ(0, iovad_free(domain_, iova, len));
	refused(ENOENT, [&] { return iovad_free(domain_, iova, len); });
	EXPECT_EQ(2u, stats_of(domain_).bad_frees);
}

TEST_P(BadInput, RangesAreFreedExactlyAsTheyWereTaken)
{
	iovad_range range;
	refused(ENOENT, [&] { return iovad_free_range(domain_, range_, 2 * kPage); });
	refused(ENOENT, [&] { return iovad_free_range(domain_, range_ + kPage, 2 * kPage); });
	refused(ENOENT, [&] { return iovad_free_range(domain_, kFirst, 2 * kPage); });  // reserved
	refused(ENOENT, [&] { return iovad_free_range(domain_, kFirst + 10 * kPage, kPage); });
	refused(ENOENT, [&] { return iovad_find(domain_, kFirst + 10 * kPage, &range); });
}

TEST_P(BadInput, Reservations)
{
	refused(EEXIST, [&] { return iovad_reserve(domain_, kept_, kPage); });
	refused(EEXIST, [&] { return iovad_reserve(domain_, range_ + 2 * kPage, kPage); });
	refused(EEXIST, [&] { return iovad_reserve(domain_, kFirst, kPages * kPage); });
	refused(ENOENT, [&] { return iovad_unreserve(domain_, kept_, 4 * kPage); });
	refused(ENOENT, [&] { return iovad_unreserve(domain_, kFirst, 3 * kPage); });
	refused(ENOENT, [&] { return iovad_unreserve(domain_, kFirst + 2 * kPage, kPage); });
	// Again is no error, and does not count twice.
	EXPECT_EQ(0, iovad_reserve(domain_, kFirst, 2 * kPage));
	EXPECT_EQ(2 * kPage, stats_of(domain_).reserved_bytes);
}

TEST_P(BadInput, BulkIsAllOrNothing)
{
	refused(ENOSPC, [&] { return iovad_alloc_bulk(domain_, kPage, kNoLimit, out_, kPages + 1); });
	refused(ENOSPC, [&] { return iovad_alloc_bulk(domain_, 64 * kPage, kNoLimit, out_, 5); });
	refused(ENOSPC, [&] { return iovad_alloc_bulk(domain_, kPage, kFirst + 20 * kPage, out_, 100); });
	const unsigned all = static_cast<unsigned>(state_of(domain_).available_bytes / kPage);
	ASSERT_EQ(0, iovad_alloc_bulk(domain_, kPage, kNoLimit, out_, all));
	refused(ENOSPC, [&] { return iovad_alloc_bulk(domain_, kPage, kNoLimit, out_ + all, 1); });
	EXPECT_EQ(0, iovad_free_bulk(domain_, out_, kPage, all));
}

TEST_P(BadInput, BulkOfNothingSucceedsAndDoesNothing)
{
	const State before = state_of(domain_);
	EXPECT_EQ(0, iovad_alloc_bulk(domain_, kPage, kNoLimit, nullptr, 0));
	EXPECT_EQ(0, iovad_alloc_bulk(domain_, kPage, kNoLimit, out_, 0));
	EXPECT_EQ(0, iovad_free_bulk(domain_, nullptr, kPage, 0));
	EXPECT_EQ(0, iovad_free_bulk(domain_, out_, kPage, 0));
	EXPECT_EQ(before, state_of(domain_));
}

TEST_P(BadInput, OfABulkFreeTheLiveOnesAreFreed)
{
	const uint64_t len = (exact() ? 2 : 65) * kPage;
	const rte_iova_t iova = domain_.alloc(len);
	const rte_iova_t twice[] = {iova, iova};
	EXPECT_EQ(-ENOENT, iovad_free_bulk(domain_, twice, len, 2));
	refused(ENOENT, [&] { return iovad_free(domain_, iova, len); });
}

// A cached free is not looked up: the fault comes to light when the cache is emptied.
TEST(BadInputCached, ADoubleFreeIsCountedWhenTheCacheGivesItBack)
{
	TestDomain d(conf_of_pages(256));
	const rte_iova_t iova = d.alloc(kPage);
	EXPECT_EQ(0, iovad_free(d, iova, kPage));
	EXPECT_EQ(0, iovad_free(d, iova, kPage));
	EXPECT_EQ(-EIO, iovad_verify(d, nullptr));
	rte_iova_t out;
	EXPECT_EQ(-ENOSPC, iovad_alloc_range(d, 256 * kPage, 512 * kPage, kNoLimit, &out));
	EXPECT_EQ(1u, stats_of(d).bad_frees);
	EXPECT_EQ(256 * kPage, stats_of(d).free_bytes);
}

}  // namespace
}  // namespace iovad::test
