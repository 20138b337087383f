// SPDX-License-Identifier: BSD-3-Clause
// Mapping, the pages chosen for it, and that unmapping leaves nothing.
#include <gtest/gtest.h>

#include "soft_fixture.h"

namespace iovad::dma {
namespace {

using SoftMapTest = SoftTest;

constexpr uint64_t kVa = 0x7f0000000000;  // a multiple of 1 GiB

struct Pages {
	uint64_t of_4k, of_2m, of_1g;
	bool operator==(const Pages &) const = default;
};

Pages pages(SoftIommu &soft)
{
	const SoftStats s = soft.stats();
	return {s.leaves_4k, s.leaves_2m, s.leaves_1g};
}

TEST_F(SoftMapTest, NothingTranslatesAtFirst)
{
	for (uint64_t iova : {uint64_t{0}, k4K, k1G, uint64_t{0xffffffffffff}})
		EXPECT_EQ(read(iova), nullptr);
	EXPECT_EQ(soft->stats().tables, 1u);
	EXPECT_EQ(soft->stats().mappings, 0u);
}

TEST_F(SoftMapTest, OnePageTranslatesEachOfItsBytesAndNoOther)
{
	ASSERT_EQ(map(k2M, kVa, k4K), Status::ok);
	for (uint64_t offset = 0; offset < k4K; ++offset)
		ASSERT_EQ(read(k2M + offset), at(kVa + offset));
	EXPECT_EQ(read(k2M, k4K), at(kVa));
	EXPECT_EQ(read(k2M - 1), nullptr);
	EXPECT_EQ(read(k2M + k4K), nullptr);
	EXPECT_EQ(pages(*soft), (Pages{1, 0, 0}));
	EXPECT_EQ(soft->stats().tables, 4u);
}

TEST_F(SoftMapTest, AddressZeroIsMappableAsInHardware)
{
	ASSERT_EQ(map(0, kVa, k4K), Status::ok);
	EXPECT_EQ(read(0), at(kVa));
}

TEST_F(SoftMapTest, TheLastPageOfTheApertureIsMappable)
{
	const uint64_t last = (uint64_t{1} << 48) - k4K;
	ASSERT_EQ(map(last, kVa, k4K), Status::ok);
	EXPECT_EQ(read(last + k4K - 1), at(kVa + k4K - 1));
	EXPECT_EQ(why(last, k4K + 1, Access::read), FaultReason::beyond_aperture);
}

TEST_F(SoftMapTest, TakesTheLargestPagesThatFit)
{
	// 4 KiB up to 2 MiB, 2 MiB up to 1 GiB, one of 1 GiB, and the same down again.
	const uint64_t first = 4 * k1G - k2M - k4K, len = k4K + k2M + k1G + k2M + k4K;
	ASSERT_EQ(map(16 * k1G + first, kVa + first, len), Status::ok);
	EXPECT_EQ(pages(*soft), (Pages{2, 2, 1}));
	EXPECT_EQ(read(16 * k1G + first, len), at(kVa + first));
}

TEST_F(SoftMapTest, CongruentToNothingTakesSmallPages)
{
	ASSERT_EQ(map(k1G, kVa + k4K, 4 * k2M), Status::ok);
	EXPECT_EQ(pages(*soft), (Pages{2048, 0, 0}));
}

TEST_F(SoftMapTest, CongruentModulo2MTakesNoPageOf1G)
{
	ASSERT_EQ(map(4 * k1G, kVa + k2M, 2 * k1G), Status::ok);
	EXPECT_EQ(pages(*soft), (Pages{0, 1024, 0}));
}

TEST_F(SoftMapTest, SmallRangesInsideALargePageTakeSmallPages)
{
	ASSERT_EQ(map(k1G + k4K, kVa + k4K, k2M - k4K), Status::ok);
	EXPECT_EQ(pages(*soft), (Pages{511, 0, 0}));
}

TEST_F(SoftMapTest, NeighboursDoNotGrowTogetherToALargePage)
{
	// Each is unmapped alone.
	ASSERT_EQ(map(k1G, kVa, k2M / 2), Status::ok);
	ASSERT_EQ(map(k1G + k2M / 2, kVa + k2M / 2, k2M / 2), Status::ok);
	EXPECT_EQ(pages(*soft), (Pages{512, 0, 0}));
	ASSERT_EQ(unmap(k1G, k2M / 2), Status::ok);
	EXPECT_EQ(read(k1G + k2M / 2 - 1), nullptr);
	EXPECT_EQ(read(k1G + k2M / 2), at(kVa + k2M / 2));
}

TEST_F(SoftMapTest, OnlyPagesThatAreOfferedAreTaken)
{
	const std::pair<uint64_t, Pages> cases[] = {
		{k4K, {(k1G + k2M) / k4K, 0, 0}},
		{k4K | k2M, {0, 513, 0}},
		{k4K | k1G, {512, 0, 1}},
		{k2M, {0, 513, 0}},
		{k2M | k1G, {0, 1, 1}},
		{k4K | k2M | k1G, {0, 1, 1}},
	};
	for (const auto &[sizes, expected] : cases) {
		SoftConfig config;
		config.page_sizes = sizes;
		soft = make_soft(config);
		ASSERT_EQ(map(4 * k1G, kVa, k1G + k2M), Status::ok);
		EXPECT_EQ(pages(*soft), expected) << std::hex << sizes;
		EXPECT_TRUE(soft->verify(stderr));
		EXPECT_EQ(read(4 * k1G, k1G + k2M), at(kVa));
		ASSERT_EQ(unmap(4 * k1G, k1G + k2M), Status::ok);
		EXPECT_EQ(soft->stats().tables, 1u);
	}
}

TEST_F(SoftMapTest, TheSmallestPageOfferedIsTheSmallestMapped)
{
	SoftConfig config;
	config.page_sizes = k2M | k1G;
	soft = make_soft(config);
	EXPECT_EQ(map(k2M, kVa, k4K), Status::invalid);
	EXPECT_EQ(map(k4K, kVa, k2M), Status::invalid);
	EXPECT_EQ(map(k2M, kVa + k4K, k2M), Status::invalid);
	EXPECT_EQ(map(k2M, kVa, k2M), Status::ok);
}

TEST_F(SoftMapTest, EveryWidthHasItsNumberOfLevels)
{
	// Tables for one page at the very end, the root included.
	const std::pair<unsigned, unsigned> cases[] = {
		{32, 3}, {36, 3}, {39, 3}, {40, 4}, {46, 4}, {48, 4}, {49, 5}, {52, 5}, {57, 5}};
	for (const auto &[width, levels] : cases) {
		SoftConfig config;
		config.address_bits = width;
		soft = make_soft(config);
		const uint64_t end = uint64_t{1} << width;
		ASSERT_EQ(map(end - k4K, kVa, k4K), Status::ok) << width;
		EXPECT_EQ(map(end, kVa, k4K), Status::invalid);
		EXPECT_EQ(soft->stats().tables, levels) << width;
		EXPECT_EQ(read(end - k4K, k4K), at(kVa));
		EXPECT_EQ(why(end, 1, Access::read), FaultReason::beyond_aperture);
		EXPECT_TRUE(soft->verify(stderr));
	}
}

TEST_F(SoftMapTest, UnmappingGivesEveryTableBackButTheRoot)
{
	const uint64_t first = 5 * k1G - k2M - k4K, len = k4K + k2M + k1G + k2M + k4K;
	for (int i = 0; i < 3; ++i) {
		ASSERT_EQ(map(first, kVa + first, len), Status::ok);
		EXPECT_TRUE(soft->verify(stderr));
		ASSERT_EQ(unmap(first, len), Status::ok);
		EXPECT_EQ(pages(*soft), (Pages{0, 0, 0}));
		EXPECT_EQ(soft->stats().tables, 1u);
		EXPECT_EQ(soft->stats().mapped_bytes, 0u);
		EXPECT_EQ(read(first), nullptr);
		EXPECT_EQ(read(first + len - 1), nullptr);
	}
	EXPECT_EQ(soft->stats().flushes, 3u);
}

TEST_F(SoftMapTest, TablesThatOthersUseStay)
{
	ASSERT_EQ(map(k1G, kVa, k4K), Status::ok);
	ASSERT_EQ(map(k1G + k4K, kVa + k2M, k4K), Status::ok);
	EXPECT_EQ(soft->stats().tables, 4u);
	ASSERT_EQ(unmap(k1G, k4K), Status::ok);
	EXPECT_EQ(soft->stats().tables, 4u);
	EXPECT_EQ(read(k1G + k4K), at(kVa + k2M));
	ASSERT_EQ(unmap(k1G + k4K, k4K), Status::ok);
	EXPECT_EQ(soft->stats().tables, 1u);
}

TEST_F(SoftMapTest, ALargePageTakesThePlaceOfATableThatBecameEmpty)
{
	ASSERT_EQ(map(k1G + k4K, kVa + k4K, k4K), Status::ok);
	ASSERT_EQ(unmap(k1G + k4K, k4K), Status::ok);
	ASSERT_EQ(map(k1G, kVa, k1G), Status::ok);
	EXPECT_EQ(pages(*soft), (Pages{0, 0, 1}));
}

TEST_F(SoftMapTest, TablesAreUsedAgain)
{
	ASSERT_EQ(map(k1G, kVa, k4K), Status::ok);
	const uint64_t bytes = soft->stats().table_bytes;
	for (uint64_t i = 1; i < 3000; ++i) {
		ASSERT_EQ(unmap(i * k1G, k4K), Status::ok);
		ASSERT_EQ(map((i + 1) * k1G, kVa, k4K), Status::ok);
	}
	EXPECT_EQ(soft->stats().table_bytes, bytes);
}

TEST_F(SoftMapTest, OneMemoryMayHaveSeveralAddresses)
{
	ASSERT_EQ(map(k1G, kVa, k2M), Status::ok);
	ASSERT_EQ(map(2 * k1G, kVa, k2M), Status::ok);
	EXPECT_EQ(read(k1G + 5), read(2 * k1G + 5));
	EXPECT_EQ(soft->stats().mapped_bytes, 2 * k2M);
}

}  // namespace
}  // namespace iovad::dma
