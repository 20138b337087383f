// SPDX-License-Identifier: BSD-3-Clause
#include "record/line_queue.h"

#include <gtest/gtest.h>

#include <string>

#include "text.h"

namespace iovad::perf {
namespace {

// time_us: since the trace's clock began.
std::string event(unsigned cpu, unsigned time_us, const char *task = "fio", unsigned iova = 0x1000)
{
	return format("%16s-185     [%03u] d.h.. %5u.%06u: map: IOMMU: iova=0x%016x - 0x%016x "
		      "paddr=0x0000000117149000 size=4096\n",
		      task, cpu, time_us / 1000000, time_us % 1000000, iova, iova + 0x1000);
}

constexpr unsigned kWindowUs = LineQueue::kWindowNs / 1000;

TEST(LineQueueTest, HoldsALineUntilNothingCanComeBeforeIt)
{
	LineQueue queue;
	std::string out;
	queue.feed(event(0, 1000), out);
	queue.feed(event(0, 1000 + kWindowUs - 1), out);
	EXPECT_EQ("", out);
	queue.feed(event(0, 1000 + kWindowUs), out);
	EXPECT_EQ(event(0, 1000), out);
	queue.finish(out);
	EXPECT_EQ(event(0, 1000) + event(0, 1000 + kWindowUs - 1) + event(0, 1000 + kWindowUs), out);
	EXPECT_EQ(3u, queue.events());
}

TEST(LineQueueTest, PutsALateCpuInItsPlace)
{
	LineQueue queue;
	std::string out;
	queue.feed(event(0, 10) + event(0, 30) + event(1, 20) + event(0, 40) + event(1, 5), out);
	queue.finish(out);
	EXPECT_EQ(event(1, 5) + event(0, 10) + event(1, 20) + event(0, 30) + event(0, 40), out);
}

TEST(LineQueueTest, KeepsTheKernelsOrderWithinAMicrosecond)
{
	LineQueue queue;
	std::string out;
	const std::string same = event(0, 7, "a") + event(1, 7, "b") + event(0, 7, "c");
	queue.feed(same + event(1, 6, "d"), out);
	queue.finish(out);
	EXPECT_EQ(event(1, 6, "d") + same, out);
}

TEST(LineQueueTest, JoinsLinesThatReadsCutAnywhere)
{
	const std::string text = event(0, 1) + "CPU:1 [LOST 5 EVENTS]\n" + event(1, 2);
	for (size_t size = 1; size < text.size(); size++) {
		LineQueue queue;
		std::string out;
		for (size_t at = 0; at < text.size(); at += size)
			queue.feed(std::string_view(text).substr(at, size), out);
		queue.finish(out);
		ASSERT_EQ(text, out) << size;
		ASSERT_EQ(5u, queue.lost());
		ASSERT_EQ(0u, queue.unreadable());
	}
}

TEST(LineQueueTest, MarksOfLostEventsStayBeforeTheirEvent)
{
	LineQueue queue;
	std::string out;
	const std::string mark = "CPU:1 [LOST 27 EVENTS]\n", vague = "CPU:0 [LOST EVENTS]\n";
	queue.feed(event(0, 10) + mark + event(1, 5) + vague, out);
	queue.finish(out);
	EXPECT_EQ(mark + event(1, 5) + event(0, 10) + vague, out);
	EXPECT_EQ(28u, queue.lost());
}

TEST(LineQueueTest, WhatIsNoEventBecomesAComment)
{
	LineQueue queue;
	std::string out;
	std::string broken = event(0, 2, "with\nbreak");
	queue.feed(event(0, 1) + broken + "\x1b[31m" + std::string(70000, 'x') + "\n" + event(0, 3), out);
	queue.finish(out);
	EXPECT_EQ(3u, queue.events());
	EXPECT_EQ(2u, queue.unreadable());
	EXPECT_EQ("      with", queue.first_unreadable());
	EXPECT_EQ(event(0, 1) + "# not readable:       with\n" + broken.substr(broken.find('\n') + 1) +
			  "# not readable: ?[31m" + std::string(195, 'x') + "\n" + event(0, 3),
		  out);
}

TEST(LineQueueTest, ACutLastLineBecomesACommentToo)
{
	LineQueue queue;
	std::string out;
	const std::string whole = event(0, 1);
	queue.feed(whole + whole.substr(0, 30), out);
	queue.finish(out);
	EXPECT_EQ(whole + "# not readable: " + whole.substr(0, 30) + "\n", out);
}

TEST(LineQueueTest, FinishesWithNothing)
{
	LineQueue queue;
	std::string out;
	queue.feed("", out);
	queue.finish(out);
	EXPECT_EQ("", out);
}

}  // namespace
}  // namespace iovad::perf
