// SPDX-License-Identifier: BSD-3-Clause
// What of tracefs can be seen without it; record_test.sh has the rest.
#include "record/tracefs.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "errors.h"

namespace iovad::perf {
namespace {

namespace fs = std::filesystem;

class TracefsTest : public testing::Test {
protected:
	TracefsTest()
	{
		std::string pattern = testing::TempDir() + "iovad-tracefs-XXXXXX";
		folder_ = mkdtemp(pattern.data());
	}
	~TracefsTest() override { fs::remove_all(folder_); }

	std::string folder_;
};

std::string error_of(const std::function<void()> &call)
{
	try {
		call();
	} catch (const RunError &error) {
		return error.what();
	}
	return "no error";
}

TEST_F(TracefsTest, TakesTheFirstPlaceThatIsThere)
{
	fs::create_directories(folder_ + "/b/instances");
	EXPECT_EQ(folder_ + "/b", find_tracefs({folder_ + "/a", folder_ + "/b"}));
	fs::create_directories(folder_ + "/a/instances");
	EXPECT_EQ(folder_ + "/a", find_tracefs({folder_ + "/a", folder_ + "/b"}));
}

TEST_F(TracefsTest, SaysHowToMountIt)
{
	fs::create_directories(folder_ + "/a");
	EXPECT_EQ("tracefs is not mounted; as root: mount -t tracefs tracefs " + folder_ + "/a",
		  error_of([&] { find_tracefs({folder_ + "/a", folder_ + "/b"}); }));
	EXPECT_EQ(folder_ + "/c: this kernel has no tracing, or /sys is not mounted",
		  error_of([&] { find_tracefs({folder_ + "/c", folder_ + "/b"}); }));
}

TEST_F(TracefsTest, SaysThatTheKernelHasNoIommuEvents)
{
	const std::string events = folder_ + "/events/iommu";
	EXPECT_EQ(events + "/map/enable: No such file or directory; this kernel has no IOMMU, or no events "
			   "for it",
		  error_of([&] { need_iommu_events(folder_); }));
	fs::create_directories(events + "/map/enable");
	fs::create_directories(events + "/unmap/enable");
	need_iommu_events(folder_);
}

TEST_F(TracefsTest, SeesWhetherAnIommuIsOn)
{
	EXPECT_FALSE(has_iommu(folder_ + "/none"));
	EXPECT_FALSE(has_iommu(folder_));
	fs::create_directories(folder_ + "/dmar0");
	EXPECT_TRUE(has_iommu(folder_));
}

TEST(RecordingHeaderTest, IsTheKernelsWithoutTheCounts)
{
	const std::string header = recording_header("# tracer: nop\n"
						    "#\n"
						    "# entries-in-buffer/entries-written: 0/0   #P:2\n"
						    "#\n"
						    "#           TASK-PID     CPU#  |||||\n"
						    "  fio-1 [000] 1.0: an event\n");
	EXPECT_EQ(0u, header.find("# tracer: nop\n#\n# recorded by iovad-perf, Linux "));
	EXPECT_NE(std::string::npos, header.find("   #P:2\n#\n#           TASK-PID     CPU#  |||||\n"));
	EXPECT_EQ(std::string::npos, header.find("entries"));
	EXPECT_EQ(std::string::npos, header.find("fio"));
	EXPECT_EQ("", recording_header(""));
}

TEST(LostByStatsTest, AddsAllKindsOfLoss)
{
	const std::string stats = "entries: 9\noverrun: 5\ncommit overrun: 20\nbytes: 12\n"
				  "oldest event ts:     0.000000\nnow ts: 13556.313409\n"
				  "dropped events: 300\nread events: 7\n";
	EXPECT_EQ(325u, lost_by_stats(stats));
	EXPECT_EQ(0u, lost_by_stats("entries: 9\noverrun: 0\n"));
	EXPECT_EQ(0u, lost_by_stats(""));
}

}  // namespace
}  // namespace iovad::perf
