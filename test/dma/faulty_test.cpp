// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "dma/faulty.h"
#include "soft_fixture.h"

namespace iovad::dma {
namespace {

using Call = FaultyBackend::Call;
using When = FaultyBackend::When;

constexpr uint64_t kVa = 0x7f0000000000;
const Outcome kBroken{Status::failed, EIO, "as the test wants it"};

class FaultyTest : public testing::Test {
protected:
	Status map(uint64_t i) { return faulty.map(i * k4K, at(kVa), k4K, kBidirectional).status; }
	Status unmap(uint64_t i) { return faulty.unmap(i * k4K, k4K).status; }
	Status info()
	{
		Info out;
		return faulty.info(out).status;
	}

	std::unique_ptr<SoftIommu> soft = make_soft();
	FaultyBackend faulty{*soft};
};

TEST_F(FaultyTest, PassesOnAndCounts)
{
	EXPECT_EQ(map(1), Status::ok);
	EXPECT_EQ(map(1), Status::exists);
	EXPECT_EQ(unmap(1), Status::ok);
	EXPECT_EQ(info(), Status::ok);
	EXPECT_EQ(faulty.calls(Call::map), 2u);
	EXPECT_EQ(faulty.calls(Call::unmap), 1u);
	EXPECT_EQ(faulty.calls(Call::info), 1u);
	EXPECT_EQ(faulty.calls(Call::any), 4u);
	EXPECT_EQ(faulty.failures(), 0u);
}

// The way of whoever unmaps in runs: one call, and where that failed one for each mapping.
TEST_F(FaultyTest, ARunIsOneCall)
{
	for (uint64_t i = 1; i <= 3; ++i)
		ASSERT_EQ(map(i), Status::ok);
	faulty.fail(Call::unmap, 1, kBroken);
	EXPECT_EQ(faulty.unmap(k4K, 3 * k4K).status, Status::failed);
	EXPECT_EQ(unmap(2), Status::ok);
	EXPECT_EQ(map(2), Status::ok);
	EXPECT_EQ(faulty.unmap(k4K, 3 * k4K).status, Status::ok);
	EXPECT_EQ(faulty.calls(Call::unmap), 3u);
	EXPECT_EQ(soft->stats().mappings, 0u);
}

TEST_F(FaultyTest, FailsTheNthCallOfAKindForEveryN)
{
	for (uint64_t n = 1; n <= 8; ++n) {
		faulty.fail(Call::map, n, kBroken);
		for (uint64_t i = 1; i <= 8; ++i) {
			ASSERT_EQ(info(), Status::ok);
			ASSERT_EQ(map(i), i == n ? Status::failed : Status::ok);
			ASSERT_EQ(unmap(i), i == n ? Status::not_found : Status::ok) << "it never came through";
		}
		ASSERT_EQ(faulty.failures(), n);
	}
}

TEST_F(FaultyTest, FailsTheNthOfAllCalls)
{
	faulty.fail(Call::any, 3, kBroken);
	EXPECT_EQ(map(1), Status::ok);
	EXPECT_EQ(info(), Status::ok);
	EXPECT_EQ(unmap(1), Status::failed);
	EXPECT_EQ(unmap(1), Status::ok);
}

TEST_F(FaultyTest, GivesTheOutcomeItWasTold)
{
	faulty.fail(Call::info, 1, {Status::denied, EPERM, "no"});
	Info out;
	const Outcome outcome = faulty.info(out);
	EXPECT_EQ(outcome.status, Status::denied);
	EXPECT_EQ(outcome.error, EPERM);
	EXPECT_STREQ(outcome.advice, "no");
}

TEST_F(FaultyTest, FailsSeveralInARowUntilItIsHealed)
{
	faulty.fail(Call::map, 2, kBroken, 2);
	faulty.fail(Call::unmap, 1, kBroken, FaultyBackend::kForever);
	EXPECT_EQ(map(1), Status::ok);
	EXPECT_EQ(map(2), Status::failed);
	EXPECT_EQ(map(2), Status::failed);
	EXPECT_EQ(map(2), Status::ok);
	for (int i = 0; i < 10; ++i)
		EXPECT_EQ(unmap(1), Status::failed);
	faulty.heal();
	EXPECT_EQ(unmap(1), Status::ok);
}

TEST_F(FaultyTest, AnUnmapCanFailAfterItWasDone)
{
	ASSERT_EQ(map(1), Status::ok);
	faulty.fail(Call::any, 1, kBroken, 1, When::after);
	EXPECT_EQ(unmap(1), Status::failed);
	EXPECT_EQ(soft->stats().mappings, 0u);
}

TEST_F(FaultyTest, AMapThatFailsIsNeverDone)
{
	faulty.fail(Call::map, 1, kBroken, 1, When::after);
	EXPECT_EQ(map(1), Status::failed);
	EXPECT_EQ(soft->stats().mappings, 0u);
}

TEST_F(FaultyTest, HoldsACallBeforeItIsDone)
{
	ASSERT_EQ(map(1), Status::ok);
	faulty.hold(Call::unmap, 1);
	std::thread caller([&] { EXPECT_EQ(unmap(1), Status::ok); });
	ASSERT_TRUE(faulty.wait_held());
	EXPECT_NE(soft->translate(k4K, 1, Access::read).va, nullptr);
	EXPECT_EQ(map(2), Status::ok) << "others pass";
	faulty.release();
	caller.join();
	EXPECT_EQ(soft->stats().mappings, 1u);
}

TEST_F(FaultyTest, HoldsACallAfterItWasDone)
{
	ASSERT_EQ(map(1), Status::ok);
	faulty.hold(Call::unmap, 1, When::after);
	std::atomic<bool> returned = false;
	std::thread caller([&] {
		EXPECT_EQ(unmap(1), Status::ok);
		returned = true;
	});
	ASSERT_TRUE(faulty.wait_held());
	EXPECT_EQ(soft->translate(k4K, 1, Access::read).va, nullptr);
	EXPECT_FALSE(returned);
	faulty.release();
	caller.join();
}

TEST_F(FaultyTest, HoldsTheOneItWasToldAndOnlyOnce)
{
	faulty.hold(Call::map, 2);
	EXPECT_EQ(map(1), Status::ok);
	std::thread caller([&] {
		EXPECT_EQ(map(2), Status::ok);
		EXPECT_EQ(map(3), Status::ok);
	});
	ASSERT_TRUE(faulty.wait_held());
	EXPECT_EQ(soft->stats().mappings, 1u);
	faulty.release();
	caller.join();
	EXPECT_EQ(soft->stats().mappings, 3u);
}

TEST_F(FaultyTest, AHoldThatNothingComesToIsTakenBack)
{
	faulty.hold(Call::map, 1);
	EXPECT_FALSE(faulty.wait_held(std::chrono::milliseconds(1)));
	faulty.release();
	EXPECT_EQ(map(1), Status::ok);
}

}  // namespace
}  // namespace iovad::dma
