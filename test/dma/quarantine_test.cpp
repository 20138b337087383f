// SPDX-License-Identifier: BSD-3-Clause
// When what could not be unmapped is tried again. Time is the test's.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "core/clock.h"
#include "dma/quarantine.h"
#include "mapper_fixture.h"

namespace iovad::dma {
namespace {

using core::kMillisecond;
using core::MappingRecord;

class QuarantineTest : public testing::Test {
protected:
	QuarantineTest()
	{
		for (unsigned i = 0; i < 3; ++i)
			records[i].len = (i + 1) * k4K;
	}
	std::vector<MappingRecord *> listed(MappingRecord *list)
	{
		std::vector<MappingRecord *> out;
		for (; list; list = list->next)
			out.push_back(list);
		std::sort(out.begin(), out.end());
		return out;
	}
	using List = std::vector<MappingRecord *>;

	core::MappingTable::Counters counters = {};
	Quarantine quarantine{counters};
	MappingRecord records[3] = {};
	// A whole number of milliseconds since the quarantine began, but for the test's own time.
	uint64_t now = core::now_ns() + 5 * kMillisecond;
};

TEST_F(QuarantineTest, PausesDoubleFromTenMillisecondsToASecond)
{
	MappingRecord &r = records[0];
	for (const uint64_t pause : {10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000}) {
		quarantine.add(&r, now);
		EXPECT_EQ(nullptr, quarantine.take_due(now)) << pause;
		EXPECT_EQ(nullptr, quarantine.take_due(now + (pause - 1) * kMillisecond)) << pause;
		now += pause * kMillisecond;
		EXPECT_EQ(List{&r}, listed(quarantine.take_due(now))) << pause;
		EXPECT_TRUE(quarantine.empty());
	}
	EXPECT_EQ(Quarantine::kTriesReported, r.tries);
}

TEST_F(QuarantineTest, TheCountOfTriesEndsAndThePauseStays)
{
	for (int i = 0; i < 300; ++i) {
		quarantine.add(&records[0], now);
		ASSERT_EQ(&records[0], quarantine.take_all());
	}
	EXPECT_EQ(255, records[0].tries);
	quarantine.add(&records[0], now);
	EXPECT_EQ(nullptr, quarantine.take_due(now + 999 * kMillisecond));
	EXPECT_EQ(&records[0], quarantine.take_due(now + 1000 * kMillisecond));
}

TEST_F(QuarantineTest, OnlyWhatIsDueIsTaken)
{
	quarantine.add(&records[0], now);
	quarantine.add(&records[1], now + 3 * kMillisecond);
	records[2].tries = 4;
	quarantine.add(&records[2], now);
	EXPECT_EQ(3u, counters.quarantined_ranges);
	EXPECT_EQ(6 * k4K, counters.quarantined_bytes);
	EXPECT_EQ(List{&records[0]}, listed(quarantine.take_due(now + 11 * kMillisecond)));
	EXPECT_EQ(2u, counters.quarantined_ranges);
	EXPECT_EQ(5 * k4K, counters.quarantined_bytes);
	EXPECT_EQ(List{}, listed(quarantine.take_due(now + 11 * kMillisecond)));
	EXPECT_EQ((List{&records[1], &records[2]}), listed(quarantine.take_due(now + 1000 * kMillisecond)));
	EXPECT_EQ(0u, counters.quarantined_ranges);
	EXPECT_EQ(0u, counters.quarantined_bytes);
	EXPECT_EQ(nullptr, quarantine.take_all());
}

TEST_F(QuarantineTest, AllAreTakenWhateverTheirPause)
{
	for (MappingRecord &r : records)
		quarantine.add(&r, now);
	EXPECT_FALSE(quarantine.empty());
	EXPECT_EQ(3u, listed(quarantine.take_all()).size());
	EXPECT_TRUE(quarantine.empty());
}

// Milliseconds in 32 bits go round after seven weeks.
TEST_F(QuarantineTest, PausesThatCrossTheEndOfTheClock)
{
	const uint64_t round = (uint64_t{1} << 32) * kMillisecond;
	now += round - 8 * kMillisecond;
	for (int i = 0; i < 20; ++i, now += kMillisecond) {
		quarantine.add(&records[0], now);
		EXPECT_EQ(nullptr, quarantine.take_due(now + 9 * kMillisecond)) << i;
		EXPECT_EQ(&records[0], quarantine.take_due(now + 10 * kMillisecond)) << i;
		records[0].tries = 0;
	}
	quarantine.add(&records[0], now);
	EXPECT_EQ(&records[0], quarantine.take_due(now + 3 * round / 8)) << "also when nobody came by for weeks";
}

// ---- by the mapper ----

TEST(QuarantineRetries, AreReportedOnceAfterTenTries)
{
	Rig rig;
	std::vector<Trouble> troubles;
	rig.mapper.set_report([&](Trouble t, uint64_t, uint64_t, const Outcome &o) {
		EXPECT_EQ(kBroken.error, o.error);
		troubles.push_back(t);
	});
	const uint64_t iova = rig.mapped(kMemory, k4K);
	rig.faulty.fail(Call::unmap, 1, kBroken, 300);
	EXPECT_EQ(Status::failed, rig.unmap(iova, k4K));
	for (unsigned tries = 2; tries <= 300; ++tries) {
		EXPECT_EQ(Status::busy, rig.mapper.drain(0).status);
		ASSERT_EQ(tries < Quarantine::kTriesReported ? 0 : 1, troubles.size()) << tries;
	}
	EXPECT_EQ(Trouble::still_quarantined, troubles[0]);
	EXPECT_EQ(299u, rig.table.counters.retries);
	EXPECT_EQ(Status::ok, rig.mapper.drain(0).status);
	rig.expect_empty();
}

// Drain said that all was well while the control lcore was still trying.
TEST(QuarantineRetries, DrainWaitsForWhatAPassIsJustTrying)
{
	Rig rig;
	const uint64_t iova = rig.mapped(kMemory, k4K);
	rig.faulty.fail(Call::unmap, 1, kBroken, 3);
	EXPECT_EQ(Status::failed, rig.unmap(iova, k4K));
	rig.faulty.hold(Call::unmap, 1);
	std::atomic<bool> released = false;
	std::thread retrier([&] { EXPECT_FALSE(rig.mapper.make_room(1)); });
	ASSERT_TRUE(rig.faulty.wait_held());
	std::thread drainer([&] {
		EXPECT_EQ(Status::busy, rig.mapper.drain(2).status);
		EXPECT_TRUE(released);
	});
	std::this_thread::yield();
	released = true;
	rig.faulty.release();
	retrier.join();
	drainer.join();
	EXPECT_EQ(Status::ok, rig.mapper.drain(0).status);
	rig.expect_empty();
}

// Between a try that failed and the answer another takes it, for the next try.
TEST(QuarantineRetries, NoneOfManyDrainsSaysThatItIsGone)
{
	Rig rig;
	const uint64_t iova = rig.mapped(kMemory, k4K);
	rig.faulty.fail(Call::unmap, 1, kBroken, FaultyBackend::kForever);
	EXPECT_EQ(Status::failed, rig.unmap(iova, k4K));
	std::atomic<unsigned> wrong = 0;
	const auto drain = [&](unsigned lcore) {
		for (unsigned i = 0; i < 100'000; ++i)
			wrong += rig.mapper.drain(lcore).status != Status::busy;
	};
	std::vector<std::thread> others;
	for (unsigned lcore = 1; lcore < 4; ++lcore)
		others.emplace_back(drain, lcore);
	drain(0);
	for (std::thread &t : others)
		t.join();
	EXPECT_EQ(0u, wrong);
	rig.faulty.heal();
	EXPECT_EQ(Status::ok, rig.mapper.drain(0).status);
	rig.expect_empty();
}

}  // namespace
}  // namespace iovad::dma
