// SPDX-License-Identifier: BSD-3-Clause
#include "measure/ownership.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace iovad::perf {
namespace {

constexpr uint64_t kPage = 4096, kFirst = 4096, kLast = 0xfffff;

TEST(OwnershipTest, ApartIsNoOverlap)
{
	Ownership owners(kFirst, kLast, kPage);
	EXPECT_EQ(Ownership::kNobody, owners.claim(kFirst, kPage, 0));
	EXPECT_EQ(Ownership::kNobody, owners.claim(kFirst + kPage, 2 * kPage, 1));
	EXPECT_EQ(Ownership::kNobody, owners.claim(kLast + 1 - kPage, kPage, 2));
	EXPECT_EQ(4u, owners.owned_granules());
}

TEST(OwnershipTest, EverySharedGranuleIsSeen)
{
	for (uint64_t shift = 0; shift < 8; shift++) {
		Ownership owners(kFirst, kLast, kPage);
		owners.claim(8 * kPage, 4 * kPage, 7);
		const uint32_t seen = owners.claim((5 + shift) * kPage, 4 * kPage, 9);
		const bool overlaps = 5 + shift < 12 && 5 + shift + 4 > 8;
		EXPECT_EQ(overlaps ? 7 : Ownership::kNobody, seen) << shift;
	}
}

TEST(OwnershipTest, ReleasedIsFreeAgain)
{
	Ownership owners(kFirst, kLast, kPage);
	owners.claim(kFirst, 4 * kPage, 0);
	owners.release(kFirst, 4 * kPage, 0);
	EXPECT_EQ(0u, owners.owned_granules());
	EXPECT_EQ(Ownership::kNobody, owners.claim(kFirst, 4 * kPage, 1));
}

TEST(OwnershipTest, AReleaseLeavesOthersMarks)
{
	Ownership owners(kFirst, kLast, kPage);
	owners.claim(kFirst, 2 * kPage, 0);
	EXPECT_EQ(0u, owners.claim(kFirst + kPage, 2 * kPage, 1));
	owners.release(kFirst, 2 * kPage, 0);
	EXPECT_EQ(1u, owners.claim(kFirst + kPage, kPage, 2));
}

TEST(OwnershipTest, OfTwoThreadsThatClaimOneGranuleExactlyOneSeesTheOther)
{
	Ownership owners(kFirst, kLast, kPage);
	for (unsigned round = 0; round < 2000; round++) {
		uint32_t seen[2];
		std::thread other([&] { seen[1] = owners.claim(kFirst, kPage, 1); });
		seen[0] = owners.claim(kFirst, kPage, 0);
		other.join();
		EXPECT_EQ(1, (seen[0] != Ownership::kNobody) + (seen[1] != Ownership::kNobody));
		owners.release(kFirst, kPage, 0);
		owners.release(kFirst, kPage, 1);
	}
}

}  // namespace
}  // namespace iovad::perf
