// SPDX-License-Identifier: BSD-3-Clause
// Devices of 24, 32 and 64 address bits in one domain.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "domain_fixture.h"

namespace iovad::core {
namespace {

constexpr uint64_t kPage = OwnedDomain::kGranule;
constexpr uint64_t k24 = (uint64_t{1} << 24) - 1, k32 = k4GiB - 1, k64 = ~uint64_t{0};
constexpr uint64_t kReach[] = {k24, k32, k64};
constexpr unsigned kOf24 = 4095;  // granules that 24 bits reach

// Most of what 32 bits reach is reserved, so that it can run out: 24 bits reach 4095 granules, 32 bits
// kMiddle more, 64 bits kHigh more.
class LimitsDevicesTest : public testing::Test {
protected:
	static constexpr unsigned kMiddle = 5000, kHigh = 6000;

	explicit LimitsDevicesTest(bool cached = true) : d_(config(cached)), domain_(d_.domain) {}
	static DomainConfig config(bool cached)
	{
		DomainConfig c = OwnedDomain::config(k4GiB + kHigh * kPage - 1);
		c.cached &= cached;
		return c;
	}

	void SetUp() override
	{
		const uint64_t from = k24 + 1 + kMiddle * kPage;
		ASSERT_EQ(domain_.reserve(from, k4GiB - from), Status::ok);
	}
	void TearDown() override { EXPECT_TRUE(domain_.verify(stderr)); }

	std::vector<uint64_t> take(unsigned lcore, uint64_t limit, unsigned n)
	{
		std::vector<uint64_t> a(n);
		for (uint64_t &iova : a)
			EXPECT_EQ(domain_.alloc(lcore, kPage, limit, iova), Status::ok);
		return a;
	}
	Status refusal(unsigned lcore, uint64_t limit)
	{
		uint64_t iova;
		return domain_.alloc(lcore, kPage, limit, iova);
	}
	void give(unsigned lcore, const std::vector<uint64_t> &a)
	{
		for (const uint64_t iova : a)
			EXPECT_EQ(domain_.free(lcore, iova, kPage), Status::ok);
	}
	static auto below(const std::vector<uint64_t> &a, uint64_t limit)
	{
		return std::count_if(a.begin(), a.end(), [=](uint64_t iova) { return iova <= limit; });
	}

	OwnedDomain d_;
	Domain &domain_;
};

class LimitsDevicesUncachedTest : public LimitsDevicesTest {
protected:
	LimitsDevicesUncachedTest() : LimitsDevicesTest(false) {}
};

TEST_F(LimitsDevicesTest, EachGetsOnlyWhatItReaches)
{
	Random random(24);
	struct Live {
		uint64_t iova, len;
	};
	std::vector<Live> live;
	for (int i = 0; i < 100000; ++i) {
		const auto lcore = static_cast<unsigned>(random.below(6));  // any lcore serves any device
		if (live.size() < 1000 && random.below(2) == 0) {
			const uint64_t limit = kReach[random.below(3)];
			const uint64_t len = kPage << random.below(3);
			uint64_t iova = 0;
			ASSERT_EQ(domain_.alloc(lcore, len, limit, iova), Status::ok);
			ASSERT_LE(iova + len - 1, limit);
			live.push_back({iova, len});
		} else if (!live.empty()) {
			std::swap(live[random.below(live.size())], live.back());
			ASSERT_EQ(domain_.free(lcore, live.back().iova, live.back().len), Status::ok);
			live.pop_back();
		}
	}
	EXPECT_EQ(domain_.stats().live_ranges, live.size());
	EXPECT_EQ(domain_.stats().fail_nospace, 0u);
}

// Exact where nothing is cached: what 32-bit devices share with it in caches they may take first.
TEST_F(LimitsDevicesUncachedTest, WideOnesFillFromTheTopAndComeTo24BitsLast)
{
	const std::vector<uint64_t> high = take(0, k64, kHigh);
	EXPECT_EQ(below(high, k32), 0) << "there is room above";
	const std::vector<uint64_t> middle = take(1, k32, kMiddle / 2);
	const std::vector<uint64_t> rest = take(0, k64, kMiddle - kMiddle / 2);
	EXPECT_EQ(below(middle, k24) + below(rest, k24), 0) << "there is room between";
	EXPECT_EQ(domain_.find(kPage), (Extent{1, 4096, 0})) << "all of it is free";
	const std::vector<uint64_t> low = take(2, k24, kOf24 / 2);
	EXPECT_EQ(below(low, k24), kOf24 / 2);
	EXPECT_EQ(below(take(3, k32, 1), k24), 1) << "now there is nowhere else";
	EXPECT_EQ(below(take(0, k64, kOf24 - kOf24 / 2 - 1), k24), kOf24 - kOf24 / 2 - 1) << "to the last one";
	for (const uint64_t limit : kReach)
		EXPECT_EQ(refusal(4, limit), Status::no_space);
	EXPECT_EQ(domain_.stats().live_ranges, kHigh + kMiddle + kOf24);
	// What the narrow one gives back it has again.
	EXPECT_EQ(domain_.free(0, low.back(), kPage), Status::ok);
	EXPECT_EQ(take(4, k24, 1).front(), low.back());
}

// Taking ahead into the cache is no reason to go below 4 GiB.
TEST_F(LimitsDevicesTest, SingleHolesAreTakenBeforeWhatLiesBelow4GiB)
{
	std::vector<uint64_t> high(kHigh);
	for (uint64_t &iova : high)
		ASSERT_EQ(domain_.alloc_range(kPage, kPage, k64, iova), Status::ok);
	for (unsigned i = 0; i < kHigh; i += 2)
		ASSERT_EQ(domain_.free_range(high[i], kPage), Status::ok);
	EXPECT_EQ(below(take(0, k64, kHigh / 2), k32), 0);
}

TEST_F(LimitsDevicesTest, WideOnesDoNotFillCachesWithWhatTheyDoNotTakeFromThem)
{
	EXPECT_EQ(below(take(0, k64, kHigh), k32), 0);
	EXPECT_EQ(below(take(0, k64, kMiddle), k24), 0);
	EXPECT_EQ(domain_.stats().tree_frees, 0u);
}

TEST_F(LimitsDevicesTest, Of24BitsExhaustedTheOthersGoOn)
{
	std::vector<uint64_t> low = take(0, k24, kOf24);
	EXPECT_EQ(refusal(0, k24), Status::no_space);
	EXPECT_EQ(refusal(1, k24), Status::no_space);
	EXPECT_EQ(domain_.stats().fail_nospace, 2u);
	const std::vector<uint64_t> middle = take(0, k32, kMiddle), high = take(0, k64, kHigh);
	EXPECT_EQ(below(middle, k24) + below(high, k32), 0);
	// One comes back, on another lcore, into its cache or not: it is had again, and only it.
	EXPECT_EQ(domain_.free(5, low[1234], kPage), Status::ok);
	EXPECT_EQ(take(0, k24, 1).front(), low[1234]);
	EXPECT_EQ(refusal(0, k24), Status::no_space);
	std::sort(low.begin(), low.end());
	for (unsigned i = 0; i < kOf24; ++i)
		ASSERT_EQ(low[i], (i + 1) * kPage) << "each once";
	give(2, low);
	give(3, middle);
	give(4, high);
	EXPECT_EQ(take(1, k24, kOf24).size(), kOf24) << "from whichever caches have them";
}

TEST_F(LimitsDevicesTest, WhatWideOnesHaveCachedDoesNotKeep24BitsFromAnything)
{
	// All of the domain went through caches of 64-bit devices.
	give(0, take(0, k64, kHigh + kMiddle + kOf24));
	EXPECT_GT(domain_.stats().cached_ranges, 0u);
	EXPECT_EQ(below(take(7, k24, kOf24), k24), kOf24);
	EXPECT_EQ(refusal(7, k24), Status::no_space);
}

TEST_F(LimitsDevicesTest, AReservedPartOf24BitsSurvivesTheExhaustionOfAllElse)
{
	constexpr unsigned kKept = 64;
	ASSERT_EQ(domain_.reserve(kPage, kKept * kPage), Status::ok);
	take(0, k64, kHigh + kMiddle + kOf24 - kKept);
	EXPECT_EQ(refusal(0, k64), Status::no_space);
	EXPECT_EQ(refusal(0, k24), Status::no_space);
	ASSERT_EQ(domain_.unreserve(kPage, kKept * kPage), Status::ok);
	const std::vector<uint64_t> kept = take(1, k24, kKept);
	EXPECT_EQ(below(kept, kKept * kPage), kKept);
	EXPECT_EQ(refusal(1, k24), Status::no_space);
}

}  // namespace
}  // namespace iovad::core
