// SPDX-License-Identifier: BSD-3-Clause
// The edges of domains that end with 32, 48 and 64 bits, for each granule that there can be.
#include <gtest/gtest.h>

#include "domain_fixture.h"

namespace iovad::core {
namespace {

constexpr uint64_t kNoLimit = ~uint64_t{0};

class LimitsEdgesTest : public testing::TestWithParam<std::tuple<unsigned, unsigned>> {
protected:
	static DomainConfig config()
	{
		return {Geometry::of(granule(), 0, last()), 200, 4, 32, 12, asymmetric_fence::enable()};
	}
	static uint64_t granule() { return uint64_t{1} << std::get<0>(GetParam()); }
	static unsigned bits() { return std::get<1>(GetParam()); }
	static uint64_t last() { return kNoLimit >> (64 - bits()); }
	// All but the granule of address 0, and 0 bytes where all would be 2^64.
	static uint64_t whole() { return last() - granule() + 1; }
	static uint64_t top() { return last() - granule() + 1; }
	static uint64_t half() { return last() / 2 + 1; }
	static Pfn pfn(uint64_t iova) { return iova / granule(); }

	void TearDown() override
	{
		EXPECT_TRUE(d_.domain.verify(stderr));
		d_.domain.reclaim();
		EXPECT_EQ(domain_.find(granule()), (Extent{1, pfn(top()) + 1, 0})) << "one gap again";
		EXPECT_EQ(domain_.stats().bad_frees, 0u);
	}
	uint64_t range(uint64_t len, uint64_t limit = kNoLimit)
	{
		uint64_t iova = 0;
		EXPECT_EQ(domain_.alloc_range(len, granule(), limit, iova), Status::ok);
		return iova;
	}
	Status try_alloc(uint64_t len, uint64_t limit)
	{
		uint64_t iova;
		return domain_.alloc(0, len, limit, iova);
	}
	Status try_range(uint64_t len, uint64_t align, uint64_t limit)
	{
		uint64_t iova;
		return domain_.alloc_range(len, align, limit, iova);
	}

	OwnedDomain d_{config()};
	Domain &domain_ = d_.domain;
};

TEST_P(LimitsEdgesTest, TheDomainGoesFromTheFirstGranuleToTheLastByte)
{
	EXPECT_EQ(domain_.geometry().first_byte(), granule());
	EXPECT_EQ(domain_.geometry().last_byte(), last());
	EXPECT_EQ(domain_.stats().free_granules, pfn(whole()));
	EXPECT_EQ(domain_.stats().largest_gap, pfn(whole()));
}

TEST_P(LimitsEdgesTest, TheLastGranuleIsTakenFoundGivenBackAndReserved)
{
	uint64_t iova = 0;
	ASSERT_EQ(domain_.alloc(0, granule(), kNoLimit, iova), Status::ok);
	EXPECT_EQ(iova, top());
	const Pfn p = pfn(top());
	EXPECT_EQ(domain_.find(last()), (Extent{p, p + 1, kBlock}));
	EXPECT_EQ(domain_.reserve(top(), granule()), Status::exists);
	EXPECT_EQ(domain_.free(0, top(), granule()), Status::ok);
	EXPECT_EQ(domain_.reserve(top(), granule()), Status::ok);
	EXPECT_EQ(domain_.find(last()), (Extent{p, p + 1, kReserved}));
	EXPECT_EQ(range(granule()), top() - granule());
	EXPECT_EQ(domain_.free_range(top() - granule(), granule()), Status::ok);
	EXPECT_EQ(domain_.unreserve(top(), granule()), Status::ok);
	EXPECT_EQ(range(granule()), top());
	EXPECT_EQ(domain_.find(top()), (Extent{p, p + 1, kLive}));
	EXPECT_EQ(domain_.free_range(top(), granule()), Status::ok);
}

TEST_P(LimitsEdgesTest, TheFirstGranuleIsTheLowestThatALimitReaches)
{
	for (const uint64_t limit : {uint64_t{0}, uint64_t{1}, granule() - 1}) {
		EXPECT_EQ(try_alloc(granule(), limit), Status::invalid) << limit;
		EXPECT_EQ(try_range(granule(), granule(), limit), Status::invalid) << limit;
	}
	for (const uint64_t limit : {granule(), granule() + 1, 2 * granule() - 2}) {
		EXPECT_EQ(try_alloc(granule(), limit), Status::no_space) << limit;
		EXPECT_EQ(try_range(granule(), granule(), limit), Status::no_space) << limit;
	}
	EXPECT_EQ(range(granule(), 2 * granule() - 1), granule());
	EXPECT_EQ(try_alloc(granule(), 2 * granule() - 1), Status::no_space);
	EXPECT_EQ(domain_.find(0).value, 0);
	EXPECT_EQ(domain_.find(granule()), (Extent{1, 2, kLive}));
	EXPECT_EQ(domain_.free_range(0, granule()), Status::invalid) << "0 is in no domain";
	EXPECT_EQ(domain_.free_range(0, 2 * granule()), Status::invalid);
	EXPECT_EQ(domain_.free_range(granule(), granule()), Status::ok);
}

TEST_P(LimitsEdgesTest, ALimitInTheMiddleOfAGranuleLeavesThatGranuleOut)
{
	for (const uint64_t middle : {half(), top(), uint64_t{3} << 30, k4GiB}) {
		if (middle > top())
			continue;
		for (const uint64_t part : {uint64_t{0}, uint64_t{1}, granule() / 2, granule() - 2}) {
			uint64_t iova = 0;
			ASSERT_EQ(domain_.alloc(1, granule(), middle + part, iova), Status::ok);
			EXPECT_EQ(iova, middle - granule());
			ASSERT_EQ(domain_.free_to_tree(&iova, granule(), 1), Status::ok);
			EXPECT_EQ(range(granule(), middle + part), middle - granule());
			EXPECT_EQ(domain_.free_range(middle - granule(), granule()), Status::ok);
		}
		EXPECT_EQ(range(granule(), middle - 1), middle - granule());
		EXPECT_EQ(range(granule(), middle + granule() - 1), middle);
		EXPECT_EQ(domain_.free_range(middle, granule()), Status::ok);
		EXPECT_EQ(domain_.free_range(middle - granule(), granule()), Status::ok);
	}
}

TEST_P(LimitsEdgesTest, AnyLimitFromTheLastByteOnIsTheSame)
{
	for (const uint64_t limit : {last(), last() | (last() + 1), kNoLimit}) {
		EXPECT_EQ(range(2 * granule(), limit), top() - granule());
		EXPECT_EQ(domain_.free_range(top() - granule(), 2 * granule()), Status::ok);
	}
	EXPECT_EQ(range(granule(), last() - 1), top() - granule()) << "one byte less";
	EXPECT_EQ(domain_.free_range(top() - granule(), granule()), Status::ok);
}

TEST_P(LimitsEdgesTest, RangesEndAtTheLastByte)
{
	EXPECT_EQ(range(whole()), granule()) << "everything";
	EXPECT_EQ(domain_.find(last()), (Extent{1, pfn(top()) + 1, kLive}));
	EXPECT_EQ(try_alloc(granule(), kNoLimit), Status::no_space);
	EXPECT_EQ(domain_.free_range(granule(), whole()), Status::ok);
	uint64_t iova = 0;
	ASSERT_EQ(domain_.alloc(0, half(), kNoLimit, iova), Status::ok);
	EXPECT_EQ(iova, half()) << "the upper half";
	EXPECT_EQ(try_alloc(half(), kNoLimit), Status::no_space) << "0 is not in the lower half";
	EXPECT_EQ(range(half() - granule()), granule()) << "all else";
	EXPECT_EQ(domain_.stats().free_granules, 0u);
	EXPECT_EQ(domain_.free_to_tree(&iova, half(), 1), Status::ok);
	EXPECT_EQ(domain_.free_range(granule(), half() - granule()), Status::ok);
	EXPECT_EQ(domain_.reserve(granule(), whole()), Status::ok);
	EXPECT_EQ(domain_.stats().reserved_granules, pfn(whole()));
	EXPECT_EQ(try_range(granule(), granule(), kNoLimit), Status::no_space);
	EXPECT_EQ(domain_.unreserve(granule(), whole()), Status::ok);
}

TEST_P(LimitsEdgesTest, LengthsThatAreTooLongOrWrapAreRefused)
{
	for (const uint64_t len : {uint64_t{0}, last() + 1, granule() - 1, kNoLimit}) {
		uint64_t iovas[2];
		EXPECT_EQ(try_alloc(len, kNoLimit), Status::invalid) << len;
		EXPECT_EQ(try_range(len, granule(), kNoLimit), Status::invalid) << len;
		EXPECT_EQ(domain_.alloc_bulk(0, len, kNoLimit, iovas, 2), Status::invalid) << len;
	}
	EXPECT_EQ(try_alloc(whole(), kNoLimit), Status::no_space) << "naturally aligned it begins at 0";
	ASSERT_EQ(range(granule()), top());
	for (const uint64_t len : {uint64_t{0}, 2 * granule(), half(), whole(), 0 - granule(), kNoLimit}) {
		EXPECT_EQ(domain_.free_range(top(), len), Status::invalid) << len;
		EXPECT_EQ(domain_.free(0, top(), len), Status::invalid) << len;
		EXPECT_EQ(domain_.reserve(top(), len), Status::invalid) << len;
		EXPECT_EQ(domain_.unreserve(top(), len), Status::invalid) << len;
	}
	EXPECT_EQ(domain_.stats().live_granules, 1u);
	EXPECT_EQ(domain_.free_range(top(), granule()), Status::ok);
}

TEST_P(LimitsEdgesTest, AlignmentsGoUpToTheTopBit)
{
	for (const uint64_t align : {uint64_t{0}, uint64_t{1}, granule() / 2, 3 * granule(), kNoLimit})
		EXPECT_EQ(try_range(granule(), align, kNoLimit), Status::invalid) << align;
	uint64_t iova = 0;
	ASSERT_EQ(domain_.alloc_range(granule(), half(), kNoLimit, iova), Status::ok);
	EXPECT_EQ(iova, half()) << "the only multiple of it";
	EXPECT_EQ(try_range(granule(), half(), kNoLimit), Status::no_space);
	EXPECT_EQ(domain_.free_range(half(), granule()), Status::ok);
	EXPECT_EQ(try_range(granule(), half(), half() + granule() - 2), Status::no_space);
	if (bits() < 64) {
		EXPECT_EQ(try_range(granule(), last() + 1, kNoLimit), Status::no_space);
	}
}

INSTANTIATE_TEST_SUITE_P(GranulesAndBits, LimitsEdgesTest,
			 testing::Combine(testing::Range(12u, 31u), testing::Values(32u, 48u, 64u)), [](const auto &p) {
				 return "Granule2To" + std::to_string(std::get<0>(p.param)) + "Bits" +
					std::to_string(std::get<1>(p.param));
			 });

}  // namespace
}  // namespace iovad::core
