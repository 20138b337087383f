// SPDX-License-Identifier: BSD-3-Clause
#include "eal/log/limit.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace iovad::eal {
namespace {

constexpr uint64_t kLines = LogLimit::kLines, kInterval = LogLimit::kIntervalNs;

unsigned written(LogLimit &limit, uint64_t now, unsigned lines)
{
	unsigned n = 0;
	for (unsigned i = 0; i < lines; ++i)
		n += limit.ask(now).write;
	return n;
}

TEST(LogLimit, WritesTheFirstLinesOfAnInterval)
{
	LogLimit limit;
	EXPECT_EQ(kLines, written(limit, 7, 100));
	EXPECT_EQ(0u, written(limit, 7 + kInterval - 1, 100)) << "the interval begins with its first line";
	EXPECT_EQ(kLines, written(limit, 7 + kInterval, 100));
}

TEST(LogLimit, MentionsOnceWhatItWithheld)
{
	LogLimit limit;
	written(limit, 0, kLines + 37);
	EXPECT_EQ(0u, limit.settle(kInterval - 1));
	EXPECT_EQ(37u, limit.settle(kInterval));
	EXPECT_EQ(0u, limit.settle(kInterval));
	written(limit, 2 * kInterval, kLines + 2);
	const LogLimit::Verdict next = limit.ask(3 * kInterval);
	EXPECT_TRUE(next.write);
	EXPECT_EQ(2u, next.withheld);
	EXPECT_EQ(0u, limit.settle(9 * kInterval)) << "nothing was withheld since";
}

TEST(LogLimit, SaysNothingOfIntervalsWithFewLines)
{
	LogLimit limit;
	EXPECT_EQ(kLines, written(limit, 0, kLines));
	EXPECT_EQ(0u, limit.settle(kInterval));
	EXPECT_EQ(0u, limit.ask(2 * kInterval).withheld);
}

TEST(LogLimit, CountsTheLinesOfAllThreads)
{
	constexpr unsigned kThreads = 4, kEach = 1000;
	LogLimit limit;
	std::atomic<unsigned> n = 0;
	std::vector<std::thread> threads;
	for (unsigned i = 0; i < kThreads; ++i)
		threads.emplace_back([&] { n += written(limit, 0, kEach); });
	for (std::thread &thread : threads)
		thread.join();
	EXPECT_EQ(kLines, n);
	EXPECT_EQ(kThreads * kEach - kLines, limit.settle(kInterval));
}

}  // namespace
}  // namespace iovad::eal
