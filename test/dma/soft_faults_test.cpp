// SPDX-License-Identifier: BSD-3-Clause
// Accesses: those that cross pages and mappings, and those that must not be.
#include <gtest/gtest.h>

#include "soft_fixture.h"

namespace iovad::dma {
namespace {

using SoftFaultsTest = SoftTest;
using enum FaultReason;

constexpr uint64_t kVa = 0x7f0000000000;

TEST_F(SoftFaultsTest, DirectionIsPermission)
{
	ASSERT_EQ(map(1 * k2M, kVa, k4K, kToDevice), Status::ok);
	ASSERT_EQ(map(2 * k2M, kVa, k4K, kFromDevice), Status::ok);
	ASSERT_EQ(map(3 * k2M, kVa, k4K, kBidirectional), Status::ok);
	EXPECT_EQ(why(1 * k2M, 64, Access::read), none);
	EXPECT_EQ(why(1 * k2M, 64, Access::write), no_write);
	EXPECT_EQ(why(1 * k2M, 64, Access::read_write), no_write);
	EXPECT_EQ(why(2 * k2M, 64, Access::read), no_read);
	EXPECT_EQ(why(2 * k2M, 64, Access::write), none);
	EXPECT_EQ(why(2 * k2M, 64, Access::read_write), no_read);
	EXPECT_EQ(why(3 * k2M, 64, Access::read_write), none);
}

TEST_F(SoftFaultsTest, LargePagesHavePermissionsToo)
{
	ASSERT_EQ(map(4 * k1G, kVa, k1G, kToDevice), Status::ok);
	ASSERT_EQ(map(5 * k1G, kVa, k2M, kFromDevice), Status::ok);
	EXPECT_EQ(why(4 * k1G + 99, 64, Access::write), no_write);
	EXPECT_EQ(why(5 * k1G + 99, 64, Access::read), no_read);
}

TEST_F(SoftFaultsTest, CrossesPagesThatAreOnePieceOfMemory)
{
	// Small to large, large to small, and from one mapping to the next.
	ASSERT_EQ(map(4 * k1G - k4K, kVa + k1G - k4K, k1G + 2 * k4K), Status::ok);
	ASSERT_EQ(map(5 * k1G + k4K, kVa + 2 * k1G + k4K, k2M), Status::ok);
	for (uint64_t border : {4 * k1G, 5 * k1G, 5 * k1G + k4K, 5 * k1G + 2 * k4K}) {
		const uint64_t va = border - 4 * k1G + kVa + k1G;
		for (uint64_t before = 1; before < 2048; before += 89)
			ASSERT_EQ(read(border - before, 2048), at(va - before)) << std::hex << border;
	}
	EXPECT_EQ(read(4 * k1G - k4K, k1G + 2 * k4K + k2M), at(kVa + k1G - k4K));
}

TEST_F(SoftFaultsTest, CrossingIntoNothingIsAFaultAtTheBorder)
{
	ASSERT_EQ(map(k2M, kVa, 2 * k4K), Status::ok);
	EXPECT_EQ(why(k2M + k4K, k4K + 1, Access::read), crosses);
	EXPECT_EQ(soft->last_faults().back().at, k2M + 2 * k4K);
	EXPECT_EQ(why(k2M - 1, 2, Access::read), not_present);
	EXPECT_EQ(soft->last_faults().back().at, k2M - 1);
}

TEST_F(SoftFaultsTest, CrossingIntoWhatForbidsItSaysWhatIsForbidden)
{
	ASSERT_EQ(map(k2M, kVa, k4K, kBidirectional), Status::ok);
	ASSERT_EQ(map(k2M + k4K, kVa + k4K, k4K, kToDevice), Status::ok);
	EXPECT_EQ(why(k2M, 2 * k4K, Access::read), none);
	EXPECT_EQ(why(k2M, 2 * k4K, Access::write), no_write);
	EXPECT_EQ(soft->last_faults().back().at, k2M + k4K);
}

TEST_F(SoftFaultsTest, TwoPiecesOfMemoryAreTakenOneByOne)
{
	ASSERT_EQ(map(k2M, kVa, k4K), Status::ok);
	ASSERT_EQ(map(k2M + k4K, kVa + k1G, k4K), Status::ok);
	EXPECT_EQ(why(k2M + 4000, 200, Access::read), split);
	const Piece first = soft->translate_some(k2M + 4000, 200, Access::read);
	EXPECT_EQ(first.va, at(kVa + 4000));
	EXPECT_EQ(first.len, 96u);
	const Piece second = soft->translate_some(k2M + 4096, 104, Access::read);
	EXPECT_EQ(second.va, at(kVa + k1G));
	EXPECT_EQ(second.len, 104u);
	const Piece beyond = soft->translate_some(k2M + 2 * k4K, 1, Access::read);
	EXPECT_FALSE(beyond);
	EXPECT_EQ(beyond.reason, not_present);
	EXPECT_EQ(soft->fault_count(), 2u);
}

TEST_F(SoftFaultsTest, NoLengthIsCheckedLikeOne)
{
	ASSERT_EQ(map(k2M, kVa, k4K, kToDevice), Status::ok);
	EXPECT_EQ(read(k2M + 7, 0), at(kVa + 7));
	EXPECT_EQ(why(k2M + k4K, 0, Access::read), not_present);
	EXPECT_EQ(why(k2M, 0, Access::write), no_write);
	EXPECT_EQ(soft->translate_some(k2M, 0, Access::read).len, 0u);
}

TEST_F(SoftFaultsTest, BeyondTheApertureIsNotTheSameAddressModuloIt)
{
	ASSERT_EQ(map(k2M, kVa, k4K), Status::ok);
	EXPECT_EQ(why((uint64_t{1} << 48) + k2M, 1, Access::read), beyond_aperture);
	EXPECT_EQ(why(~uint64_t{0}, 1, Access::read), beyond_aperture);
	EXPECT_EQ(why(~uint64_t{0}, 2, Access::read), beyond_aperture);
}

TEST_F(SoftFaultsTest, LengthsThatWrapAreFaults)
{
	ASSERT_EQ(map(k2M, kVa, k4K), Status::ok);
	EXPECT_EQ(why(k2M, ~uint64_t{0}, Access::read), crosses);
	EXPECT_EQ(why(k2M + 1, ~uint64_t{0}, Access::read), crosses);
	SoftConfig config;
	config.address_bits = 57;
	soft = make_soft(config);
	const uint64_t last = (uint64_t{1} << 57) - k4K;
	ASSERT_EQ(map(last, kVa, k4K), Status::ok);
	EXPECT_EQ(why(last, ~uint64_t{0}, Access::read), beyond_aperture);
}

TEST_F(SoftFaultsTest, TheWindowOfInterruptsIsNoMemory)
{
	EXPECT_EQ(why(0xfee00000, 4, Access::write), not_present);
}

TEST_F(SoftFaultsTest, AFaultIsReportedAsItWasAskedFor)
{
	why(0xabc123, 77, Access::write);
	const std::vector<Fault> faults = soft->last_faults();
	ASSERT_EQ(faults.size(), 1u);
	EXPECT_EQ(faults[0].number, 1u);
	EXPECT_EQ(faults[0].iova, 0xabc123u);
	EXPECT_EQ(faults[0].at, 0xabc123u);
	EXPECT_EQ(faults[0].len, 77u);
	EXPECT_EQ(faults[0].access, Access::write);
	EXPECT_EQ(faults[0].reason, not_present);
	EXPECT_STREQ(fault_reason_name(faults[0].reason), "not present");
}

TEST_F(SoftFaultsTest, TheLastFaultsAreKeptAndAllAreCounted)
{
	EXPECT_TRUE(soft->last_faults().empty());
	for (uint64_t i = 1; i <= 1000; ++i) {
		why(i * k4K, 1, Access::read);
		const std::vector<Fault> faults = soft->last_faults();
		ASSERT_EQ(faults.size(), std::min<uint64_t>(i, FaultLog::kKept));
		for (uint64_t j = 0; j < faults.size(); ++j) {
			ASSERT_EQ(faults[j].number, i - faults.size() + 1 + j);
			ASSERT_EQ(faults[j].iova, faults[j].number * k4K);
		}
	}
	EXPECT_EQ(soft->fault_count(), 1000u);
	EXPECT_EQ(soft->stats().faults, 1000u);
}

}  // namespace
}  // namespace iovad::dma
