// SPDX-License-Identifier: BSD-3-Clause
// With ok from unmap() no device reaches the memory any more: not even one that had
// translated the address before.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <optional>
#include <thread>

#include "soft_fixture.h"

namespace iovad::dma {
namespace {

using SoftRequesterTest = SoftTest;

constexpr uint64_t kVa = 0x7f0000000000;

TEST_F(SoftRequesterTest, UnmapReturnsWhenTheBurstIsOver)
{
	ASSERT_EQ(map(k2M, kVa, k4K), Status::ok);
	Requester device(*soft);
	std::optional<Requester::Burst> burst(device);
	ASSERT_NE(read(k2M), nullptr);
	std::atomic<bool> over = false;
	std::thread unmapper([&] {
		EXPECT_EQ(unmap(k2M, k4K), Status::ok);
		EXPECT_TRUE(over);
	});
	// The translation is gone first. From here on unmap() waits.
	while (read(k2M) != nullptr)
		std::this_thread::yield();
	EXPECT_EQ(soft->stats().mappings, 1u);
	over = true;
	burst.reset();
	unmapper.join();
	EXPECT_EQ(soft->stats().mappings, 0u);
}

TEST_F(SoftRequesterTest, ADeviceOutsideItsBurstIsNotWaitedFor)
{
	SoftConfig config;
	config.drain_limit = std::chrono::hours(1);
	soft = make_soft(config);
	Requester idle(*soft), busy(*soft);
	{
		const Requester::Burst burst(busy);
	}
	ASSERT_EQ(map(k2M, kVa, k4K), Status::ok);
	EXPECT_EQ(unmap(k2M, k4K), Status::ok);
}

TEST_F(SoftRequesterTest, ADeviceThatHasGoneIsNotWaitedFor)
{
	{
		Requester gone(*soft);
		const Requester::Burst burst(gone);
	}
	ASSERT_EQ(map(k2M, kVa, k4K), Status::ok);
	EXPECT_EQ(unmap(k2M, k4K), Status::ok);
}

TEST_F(SoftRequesterTest, ADeviceThatNeverEndsFailsTheUnmapAndKeepsTheRangeTaken)
{
	SoftConfig config;
	config.drain_limit = std::chrono::milliseconds(1);
	config.max_mappings = 10;
	soft = make_soft(config);
	ASSERT_EQ(map(k2M, kVa, k4K), Status::ok);
	Requester device(*soft);
	std::optional<Requester::Burst> burst(device);
	for (int i = 0; i < 2; ++i) {
		const Outcome outcome = soft->unmap(k2M, k4K);
		EXPECT_EQ(outcome.status, Status::failed);
		EXPECT_EQ(outcome.error, ETIMEDOUT);
		EXPECT_EQ(read(k2M), nullptr) << "nothing new is translated";
		EXPECT_EQ(map(k2M, kVa, k4K), Status::exists);
		Info info;
		EXPECT_TRUE(soft->info(info).ok());
		EXPECT_EQ(info.mappings_left, 9u);
		EXPECT_TRUE(soft->verify(stderr));
	}
	burst.reset();
	EXPECT_EQ(unmap(k2M, k4K), Status::ok);
	EXPECT_EQ(map(k2M, kVa, k4K), Status::ok);
	EXPECT_EQ(soft->stats().flushes, 3u);
}

TEST_F(SoftRequesterTest, ARunThatIsStuckIsRetriedMappingByMappingAndInRuns)
{
	SoftConfig config;
	config.drain_limit = std::chrono::milliseconds(1);
	soft = make_soft(config);
	for (uint64_t i = 0; i < 4; ++i)
		ASSERT_EQ(map(k2M + i * k4K, kVa, k4K), Status::ok);
	Requester device(*soft);
	std::optional<Requester::Burst> burst(device);
	EXPECT_EQ(unmap(k2M, 3 * k4K), Status::failed);
	EXPECT_EQ(read(k2M + k4K), nullptr);
	EXPECT_NE(read(k2M + 3 * k4K), nullptr);
	EXPECT_EQ(unmap(k2M + k4K, k4K), Status::failed);
	EXPECT_EQ(soft->stats().mappings, 4u);
	EXPECT_TRUE(soft->verify(stderr));
	burst.reset();
	EXPECT_EQ(unmap(k2M + k4K, k4K), Status::ok);
	EXPECT_EQ(map(k2M + k4K, kVa, k4K), Status::ok);
	EXPECT_EQ(unmap(k2M, 4 * k4K), Status::ok) << "stuck or not";
	EXPECT_EQ(soft->stats().mappings, 0u);
	EXPECT_EQ(soft->stats().mapped_bytes, 0u);
}

TEST_F(SoftRequesterTest, RunsWaitForDevicesOnce)
{
	SoftConfig config;
	config.drain_limit = std::chrono::milliseconds(1);
	soft = make_soft(config);
	for (const uint64_t page : {0, 1, 3, 4, 6})
		ASSERT_EQ(map(k2M + page * k4K, kVa, k4K), Status::ok);
	const Backend::Run runs[] = {{k2M, 2 * k4K, 2 * k4K}, {k2M + 3 * k4K, 2 * k4K, 2 * k4K}, {k2M + 5 * k4K, k4K, k4K},
				     {k2M + 6 * k4K, k4K, k4K}};
	Requester device(*soft);
	std::optional<Requester::Burst> burst(device);
	Backend::Unmapped done = soft->unmap_runs(std::span(runs).first(2));
	EXPECT_EQ(done.runs, 0u);
	EXPECT_EQ(done.why.error, ETIMEDOUT);
	EXPECT_EQ(soft->stats().mappings, 5u);
	burst.reset();
	EXPECT_EQ(soft->stats().flushes, 1u);
	done = soft->unmap_runs(runs);
	EXPECT_EQ(done.runs, 2u) << "up to the one that is not mapped";
	EXPECT_EQ(done.calls, 1u);
	EXPECT_EQ(done.why.status, Status::not_found);
	EXPECT_EQ(soft->stats().flushes, 2u);
	EXPECT_EQ(soft->stats().mappings, 1u);
	EXPECT_NE(read(k2M + 6 * k4K), nullptr);
	done = soft->unmap_runs(std::span(runs).subspan(2));
	EXPECT_EQ(done.runs, 0u);
	EXPECT_EQ(done.calls, 0u);
	done = soft->unmap_runs(std::span(runs).last(1));
	EXPECT_EQ(done.runs, 1u);
	EXPECT_TRUE(done.why.ok());
	EXPECT_TRUE(soft->verify(stderr));
}

TEST_F(SoftRequesterTest, ARunThatAnotherThreadUnmapsSomeOfIsBusyAndStays)
{
	for (uint64_t i = 0; i < 3; ++i)
		ASSERT_EQ(map(k2M + i * k4K, kVa, k4K), Status::ok);
	Requester device(*soft);
	std::optional<Requester::Burst> burst(device);
	std::thread unmapper([&] { EXPECT_EQ(unmap(k2M + k4K, k4K), Status::ok); });
	while (read(k2M + k4K) != nullptr)
		std::this_thread::yield();
	EXPECT_EQ(unmap(k2M, 3 * k4K), Status::busy);
	EXPECT_NE(read(k2M), nullptr);
	EXPECT_NE(read(k2M + 2 * k4K), nullptr);
	burst.reset();
	unmapper.join();
	EXPECT_EQ(unmap(k2M, 3 * k4K), Status::not_found) << "a hole now";
	EXPECT_EQ(unmap(k2M, k4K), Status::ok);
	EXPECT_EQ(unmap(k2M + 2 * k4K, k4K), Status::ok);
}

TEST_F(SoftRequesterTest, ADeviceMayMapInsideItsBurst)
{
	ASSERT_EQ(map(k2M, kVa, k4K), Status::ok);
	Requester device(*soft);
	std::optional<Requester::Burst> burst(device);
	std::thread unmapper([&] { EXPECT_EQ(unmap(k2M, k4K), Status::ok); });
	while (read(k2M) != nullptr)
		std::this_thread::yield();
	EXPECT_EQ(map(2 * k2M, kVa, k4K), Status::ok);
	EXPECT_EQ(unmap(k2M, k4K), Status::busy) << "another thread is at it";
	burst.reset();
	unmapper.join();
}

// Memory is spoiled as soon as it is unmapped: a device that still read it would see that,
// and the thread sanitizer would see the race.
class SoftSpoiledMemoryTest : public SoftTest {
protected:
	static constexpr unsigned kPages = 8, kDevices = 2, kRounds = 2000, kLen = 256, kGood = 0xab;

	// Byte by byte: the sanitizer does not see a memset() that the compiler expands.
	struct alignas(k4K) Page {
		void set(unsigned value) { bytes[0] = bytes[kLen - 1] = static_cast<unsigned char>(value); }
		bool holds(unsigned value) const { return bytes[0] == value && bytes[kLen - 1] == value; }

		unsigned char bytes[k4K];
	};

	void SetUp() override
	{
		for (unsigned d = 0; d < kDevices; ++d)
			devices_.emplace_back([this, d] { read_on(d); });
	}
	void TearDown() override
	{
		done_ = true;
		for (std::thread &device : devices_)
			device.join();
		EXPECT_EQ(wrong_, 0u);
		SoftTest::TearDown();
	}

	static uint64_t address(unsigned page) { return k2M + page * k4K; }
	void map_good(unsigned page)
	{
		memory_[page].set(kGood);
		ASSERT_TRUE(soft->map(address(page), &memory_[page], k4K, kBidirectional).ok());
	}
	void unmap_and_spoil(unsigned page, unsigned pages = 1)
	{
		ASSERT_EQ(unmap(address(page), pages * k4K), Status::ok);
		for (unsigned end = page + pages; page < end; ++page)
			memory_[page].set(0);
	}
	bool enough(unsigned rounds) const { return rounds >= kRounds && seen_.load(std::memory_order_relaxed) >= 1000; }

private:
	// Nothing between the threads but what a burst and an unmap have: counts are relaxed.
	void read_on(unsigned first)
	{
		Requester device(*soft);
		for (unsigned i = first; !done_.load(std::memory_order_relaxed); ++i) {
			// Rather here than inside the burst, where it costs the unmapper a time slice.
			std::this_thread::yield();
			const Requester::Burst burst(device);
			const void *found[kPages];
			for (unsigned p = 0; p < kPages; ++p)
				found[p] = read(address((i + p) % kPages), kLen);
			for (const void *va : found)
				check(va);
		}
	}
	void check(const void *va)
	{
		if (va == nullptr)
			return;
		if (!static_cast<const Page *>(va)->holds(kGood))
			wrong_.fetch_add(1, std::memory_order_relaxed);
		seen_.fetch_add(1, std::memory_order_relaxed);
	}

	const std::unique_ptr<Page[]> memory_ = std::make_unique<Page[]>(kPages);
	std::atomic<bool> done_ = false;
	std::atomic<uint64_t> wrong_ = 0, seen_ = 0;
	std::vector<std::thread> devices_;
};

TEST_F(SoftSpoiledMemoryTest, NoDeviceSeesWhatMemoryHoldsAfterItsUnmap)
{
	for (unsigned i = 0; !enough(i); ++i) {
		map_good(i % kPages);
		if (i >= kPages - 1)
			unmap_and_spoil((i + 1) % kPages);
		ASSERT_FALSE(HasFatalFailure());
	}
}

TEST_F(SoftSpoiledMemoryTest, NoDeviceSeesWhatMemoryHoldsAfterTheUnmapOfItsRun)
{
	for (unsigned i = 0; !enough(i); ++i) {
		for (unsigned page = 0; page < kPages; ++page)
			map_good(page);
		const unsigned cut = i % kPages;
		if (cut != 0)
			unmap_and_spoil(0, cut);
		unmap_and_spoil(cut, kPages - cut);
		for (unsigned page = 0; page < kPages; ++page)
			ASSERT_EQ(read(address(page)), nullptr);
		ASSERT_FALSE(HasFatalFailure());
	}
	EXPECT_EQ(soft->stats().mappings, 0u);
}

}  // namespace
}  // namespace iovad::dma
