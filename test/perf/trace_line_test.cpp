// SPDX-License-Identifier: BSD-3-Clause
#include "trace/trace_line.h"

#include <gtest/gtest.h>

#include <string>

namespace iovad::perf {
namespace {

constexpr const char *kMap = "          iperf3-178     [001] b..1.    12.967568: map: IOMMU: "
			     "iova=0x00000000ffef7000 - 0x00000000ffef8000 "
			     "paddr=0x0000000100d64000 size=4096";
constexpr const char *kUnmap =
	"          <idle>-0       [000] dNh1.    50.313746: unmap: IOMMU: iova=0x00000000ffd18000 - "
	"0x00000000ffd1e000 size=24576 unmapped_size=24576";

std::string replaced(std::string line, const std::string &from, const std::string &to)
{
	const size_t at = line.find(from);
	EXPECT_NE(at, std::string::npos) << from;
	return line.replace(at, from.size(), to);
}

// A line whose task is printed as the kernel does it: padded to 16 columns.
std::string with_task(const std::string &task)
{
	return std::string(16 - task.size(), ' ') + task + std::string(kMap).substr(16);
}

void expect_bad(const std::string &line, const std::string &why)
{
	const ParsedLine parsed = parse_line(line);
	ASSERT_EQ(LineKind::bad, parsed.kind) << line;
	EXPECT_EQ(why, parsed.why) << line;
}

TEST(TraceLineTest, ReadsAMap)
{
	const ParsedLine parsed = parse_line(kMap);
	ASSERT_EQ(LineKind::event, parsed.kind) << parsed.why;
	EXPECT_EQ(EventKind::map, parsed.event.kind);
	EXPECT_EQ(0xffef7000u, parsed.event.iova);
	EXPECT_EQ(4096u, parsed.event.size);
	EXPECT_EQ(1u, parsed.event.cpu);
	EXPECT_EQ(12967568000u, parsed.event.time_ns);
}

TEST(TraceLineTest, ReadsAnUnmap)
{
	const ParsedLine parsed = parse_line(kUnmap);
	ASSERT_EQ(LineKind::event, parsed.kind) << parsed.why;
	EXPECT_EQ(EventKind::unmap, parsed.event.kind);
	EXPECT_EQ(0xffd18000u, parsed.event.iova);
	EXPECT_EQ(24576u, parsed.event.size);
	EXPECT_EQ(0u, parsed.event.cpu);
}

TEST(TraceLineTest, TaskNamesMayHoldAnything)
{
	for (const char *task : {"a b", "kworker/0:0", "x-1", "[001]", "a-1 [7] b: map:",
				 "a-1 [7] 1.5: map", "-", ": map: x", "#1", "CPU:1 [LOST 3]"}) {
		const ParsedLine parsed = parse_line(with_task(task));
		ASSERT_EQ(LineKind::event, parsed.kind)
			<< task << ": " << (parsed.why ? parsed.why : "skipped");
		EXPECT_EQ(1u, parsed.event.cpu) << task;
	}
}

TEST(TraceLineTest, ReadsOtherWritersOfTheFormat)
{
	EXPECT_EQ(LineKind::event,
		  parse_line("fio-185 [3] 1.5: map: IOMMU: iova=0x1000 - 0x2000 paddr=0x0 size=4096")
			  .kind);
	EXPECT_EQ(LineKind::event, parse_line("fio-185 (    12) [003] d.h.. 9: unmap: IOMMU: "
					      "iova=0x1000 size=4096 unmapped_size=0")
					   .kind);
	EXPECT_EQ(LineKind::event, parse_line("fio-185 (-------) [003] d.h.. 9: map: IOMMU: "
					      "iova=0x1000 paddr=0x2000 size=4096")
					   .kind);
}

TEST(TraceLineTest, SkipsWhatIsNoIommuEvent)
{
	for (const char *line :
	     {"", "   ", "# tracer: nop", "#", " => dma_map_page", "##### CPU 1 buffer started ####",
	      "          iperf3-178     [001] b..1.    12.967568: sched_switch: prev_comm=x",
	      "          iperf3-178     [001] b..1.    12.967568: do_map <-iommu_map",
	      "          iperf3-178     [001] b..1.    12.967568: mmap: IOMMU"})
		EXPECT_EQ(LineKind::skipped, parse_line(line).kind) << line;
}

TEST(TraceLineTest, CountsLostEvents)
{
	EXPECT_EQ(LineKind::lost, parse_line("CPU:1 [LOST 3745 EVENTS]").kind);
}

TEST(TraceLineTest, RefusesGarbage)
{
	const std::string why = "not a line of ftrace text (TASK-PID [CPU] FLAGS TIME: EVENT)";
	for (const std::string &line :
	     {std::string("garbage"), std::string("\0\1\2", 3), std::string("a-"), std::string("-1"),
	      std::string("iperf3-178 [001"), std::string("iperf3-178 [001] b..1. 12."),
	      std::string("iperf3-178 [001] b..1. 12"), std::string("iperf3-178 [001] b..1. 12.5:"),
	      std::string("iperf3-178 [001] b..1. 12.5: "),
	      std::string("iperf3-178 [001] b..1. 12.5: : map: IOMMU"),
	      std::string("iperf3-178 [one] b..1. 12.5: map: IOMMU"),
	      std::string("iperf3-178 (12 [1] 1.5: map: x"),
	      std::string("iperf3-178 [001] 99999999999999999999.5: map: IOMMU")})
		expect_bad(line, why);
}

TEST(TraceLineTest, RefusesEachBrokenField)
{
	expect_bad(replaced(kMap, "IOMMU:", "IOMU:"), "no 'IOMMU: iova=0x...' in an iommu event");
	expect_bad(replaced(kMap, "iova=0x00000000ffef7000", "iova=0xzz"),
		   "no 'IOMMU: iova=0x...' in an iommu event");
	expect_bad(replaced(kMap, "- 0x00000000ffef8000", "- 0x"),
		   "the end of the range is not a hexadecimal number");
	expect_bad(replaced(kMap, " paddr=0x0000000100d64000", ""), "no 'paddr=0x...' in a map event");
	expect_bad(replaced(kMap, " size=4096", ""), "no 'size=...' in an iommu event");
	expect_bad(replaced(kMap, "size=4096", "size=99999999999999999999"),
		   "no 'size=...' in an iommu event");
	expect_bad(replaced(kMap, "size=4096", "size=-4096"), "no 'size=...' in an iommu event");
	expect_bad(replaced(kMap, "size=4096", "size=409"), "the range and its size disagree");
	expect_bad(replaced(kMap, "size=4096", "size=0"), "size is 0");
	expect_bad(std::string(kMap) + "\r", "text after the end of an iommu event");
	expect_bad(std::string(kMap) + " more", "text after the end of an iommu event");
	expect_bad(replaced(kUnmap, " unmapped_size=24576", ""),
		   "no 'unmapped_size=...' in an unmap event");
	expect_bad(replaced(kMap, "[001]", "[70000]"), "the cpu number is too large");
	expect_bad("a-1 [0] 1.5: map: IOMMU: iova=0xfffffffffffff000 paddr=0x0 size=4096",
		   "iova + size overflows");
}

TEST(TraceLineTest, EveryPrefixOfALineIsRefusedOrSkipped)
{
	// With the end of the range in the line, no cut of a map passes for a shorter size.
	const std::string line = kMap;
	for (size_t length = 0; length < line.size(); length++)
		EXPECT_NE(LineKind::event, parse_line(line.substr(0, length)).kind) << length;
}

TEST(TraceLineTest, RefusesTwoLinesRunIntoOne)
{
	expect_bad("      fio-1     [001] b..1.    12.9: sched_wak" + std::string(kMap),
		   "an iommu event inside another event's line");
	expect_bad(std::string(kMap).substr(0, 90) + kMap, "no 'paddr=0x...' in a map event");
}

}  // namespace
}  // namespace iovad::perf
