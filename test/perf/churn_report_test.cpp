// SPDX-License-Identifier: BSD-3-Clause
#include "churn/churn_report.h"

#include <gtest/gtest.h>

#include "printed.h"

namespace iovad::perf {
namespace {

using test::printed;

ChurnReport three_modes()
{
	ChurnReport report;
	report.lcores = {0, 1};
	for (const Mode mode : report.options.modes) {
		ModeReport one;
		one.mode = mode;
		one.backend.lazy = mode == Mode::lazy;
		report.modes.push_back(one);
	}
	return report;
}

TEST(ChurnReportTest, IsGoodOnlyWithoutAnyFault)
{
	ChurnReport report = three_modes();
	EXPECT_TRUE(report.good());
	ModeReport &mode = report.modes[1];
	for (uint64_t *fault : {&mode.failed_maps, &mode.failed_unmaps, &mode.failed_others, &mode.overlaps,
				&mode.astray, &mode.leaks, &mode.accounting, &mode.verify_failures}) {
		*fault = 1;
		EXPECT_FALSE(report.good());
		*fault = 0;
	}
}

TEST(ChurnReportTest, JsonHasAnObjectForEachMode)
{
	ChurnReport report = three_modes();
	report.modes[1].pairs_per_second = 12.5;
	const std::string json = printed([&](FILE *out) { write_json(out, report); });
	for (const char *key : {"\"command\": \"churn\"", "\"strict\": {", "\"lazy\": {", "\"region\": {",
				"\"pairs_per_s\": 12.5", "\"exposed_at_most_ns\": {"})
		EXPECT_NE(std::string::npos, json.find(key)) << key << json;
	EXPECT_EQ(json.find("exposed_at_most_ns"), json.rfind("exposed_at_most_ns")) << "only lazy";
}

TEST(ChurnReportTest, TableSaysHowLongDevicesReachTheMemory)
{
	ChurnReport report = three_modes();
	report.modes[0].unmap.calls = 1;
	report.modes[0].unmap.p99 = 2500;
	report.modes[1].exposed_at_least.p99 = 4e6;
	report.modes[1].exposed_at_most = {.calls = 1, .p99 = 6e6};
	const std::string table = printed([&](FILE *out) { write_table(out, report); });
	EXPECT_NE(std::string::npos, table.find("  p99                    0..2.5    4000..6000        always")) << table;
}

TEST(ChurnReportTest, TableSaysWhatFailed)
{
	ChurnReport report = three_modes();
	report.modes[2].failed_maps = 2;
	report.modes[2].first_error = -ENOSPC;
	report.modes[1].overlaps = 3;
	const std::string table = printed([&](FILE *out) { write_table(out, report); });
	EXPECT_NE(std::string::npos, table.find("region: 2 maps, 0 unmaps, 0 others failed; first error: No space")) << table;
	EXPECT_NE(std::string::npos, table.find("lazy: 3 overlaps, 0 astray, 0 leaks")) << table;
}

}  // namespace
}  // namespace iovad::perf
