// SPDX-License-Identifier: BSD-3-Clause
// With ok from unmap() no device reaches the memory any more: not even one that had
// translated the address before.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstring>
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
TEST_F(SoftRequesterTest, NoDeviceSeesWhatMemoryHoldsAfterItsUnmap)
{
	constexpr unsigned kPages = 8, kDevices = 2, kRounds = 2000, kLen = 256;
	const auto memory = std::make_unique<soft::Table[]>(kPages);  // it is aligned
	const auto page = [&](unsigned i) { return reinterpret_cast<unsigned char *>(&memory[i]); };
	std::atomic<bool> done = false;
	std::atomic<uint64_t> wrong = 0, seen = 0;
	std::vector<std::thread> devices;
	for (unsigned d = 0; d < kDevices; ++d) {
		devices.emplace_back([&, d] {
			Requester device(*soft);
			unsigned char copy[kLen];
			for (unsigned i = d; !done; ++i) {
				// Rather here than inside the burst, where it costs the unmapper a time slice.
				std::this_thread::yield();
				const Requester::Burst burst(device);
				for (unsigned p = 0; p < kPages; ++p) {
					const void *va = read(k2M + (i + p) % kPages * k4K, kLen);
					if (va == nullptr)
						continue;
					std::memcpy(copy, va, kLen);
					wrong += copy[0] != 0xab || copy[kLen - 1] != 0xab;
					++seen;
				}
			}
		});
	}
	for (unsigned i = 0; i < kRounds || seen < 1000; ++i) {
		const unsigned p = i % kPages;
		std::memset(page(p), 0xab, kLen);
		ASSERT_EQ(map(k2M + p * k4K, reinterpret_cast<uintptr_t>(page(p)), k4K), Status::ok);
		if (i < kPages - 1)
			continue;
		const unsigned oldest = (i + 1) % kPages;
		ASSERT_EQ(unmap(k2M + oldest * k4K, k4K), Status::ok);
		std::memset(page(oldest), 0, kLen);
	}
	done = true;
	for (std::thread &t : devices)
		t.join();
	EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace iovad::dma
