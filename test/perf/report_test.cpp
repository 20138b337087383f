// SPDX-License-Identifier: BSD-3-Clause
#include "report/report.h"

#include <gtest/gtest.h>

#include "printed.h"
#include "replay/raster.h"
#include "report/svg_canvas.h"
#include "report/table.h"
#include "text.h"

namespace iovad::perf {
namespace {

using test::printed;

TEST(ReportTest, SpreadIsMedianAndExtremes)
{
	const Spread odd = spread_of({5, 1, 3});
	EXPECT_EQ(3, odd.median);
	EXPECT_EQ(1, odd.min);
	EXPECT_EQ(5, odd.max);
	EXPECT_EQ(2.5, spread_of({4, 1, 2, 3}).median);
	EXPECT_EQ(0, spread_of({}).median);
}

TEST(ReportTest, IsGoodOnlyWithoutAnyFault)
{
	Report report;
	EXPECT_TRUE(report.good());
	for (uint64_t *fault :
	     {&report.failed_allocs, &report.failed_frees, &report.found[0], &report.found[1],
	      &report.found[2], &report.leaks, &report.accounting, &report.verify_failures}) {
		*fault = 1;
		EXPECT_FALSE(report.good());
		*fault = 0;
	}
}

TEST(ReportTest, JsonHoldsTheKeysAndEscapesNames)
{
	Report report;
	report.file = "a\"b\\c\n.xz";
	report.plan.maps = 3;
	report.plan.unmaps = 2;
	report.found[0] = 7;
	report.alloc.mean = 12.5;
	const std::string json = printed([&](FILE *out) { write_json(out, report); });
	EXPECT_NE(std::string::npos, json.find("\"file\": \"a\\\"b\\\\c\\u000a.xz\"")) << json;
	EXPECT_NE(std::string::npos, json.find("\"events\": 5,")) << json;
	EXPECT_NE(std::string::npos, json.find("\"violations\": 7,")) << json;
	EXPECT_NE(std::string::npos, json.find("\"ns_per_alloc\": 12.5,")) << json;
	for (const char *key : {"allocs", "frees", "unmatched", "failed", "ns_per_free"})
		EXPECT_NE(std::string::npos, json.find(format("\"%s\": 0", key))) << key;
}

// A run of many ranges at random must neither fail nor grow beyond a picture.
TEST(ReportTest, SvgStaysSmallAndClosed)
{
	Plan plan;
	RunResult run;
	run.end_tick = 1'000'000;
	uint64_t state = 1;
	for (unsigned i = 0; i < 60000; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		Slot slot;
		slot.size = uint64_t(4096) << (state >> 60) % 8;
		plan.slots.push_back(slot);
		const uint64_t tick = (state >> 20) % 1'000'000;
		run.slots.push_back(
			{0xff000000 + (state >> 40) % 4000 * 4096, tick, tick + (state >> 50), 0});
	}
	Report report;
	report.file = "<a&b>";
	report.lcores = {0};
	report.space = make_timeline(plan, run);
	const std::string svg =
		printed([&](FILE *out) { write_svg(out, report, plan, run.slots, 1e9); });
	EXPECT_LT(svg.size(), 1'000'000u);
	EXPECT_NE(std::string::npos, svg.find("&lt;a&amp;b&gt;"));
	EXPECT_EQ(svg.size() - 7, svg.find("</svg>\n"));
}

TEST(ReportTest, SvgOfARunWithoutAllocationsIsEmptyNotBroken)
{
	Plan plan;
	Report report;
	report.space = make_timeline(plan, {});
	const std::string svg = printed([&](FILE *out) { write_svg(out, report, plan, {}, 1e9); });
	EXPECT_EQ(std::string::npos, svg.find("nan"));
	EXPECT_EQ(std::string::npos, svg.find("inf"));
}

TEST(ReportTest, TableSaysWhatFailed)
{
	Report report;
	report.file = "dir/trace.xz";
	report.failed_allocs = 2;
	report.first_error = -ENOSPC;
	const std::string table = printed([&](FILE *out) { write_table(out, report); });
	EXPECT_EQ(0u, table.find("replay of trace.xz:")) << table;
	EXPECT_NE(std::string::npos, table.find("No space left on device")) << table;
}

TEST(ReportTest, TellsOfTheBackendWhereMemoryWasMapped)
{
	Report report;
	EXPECT_EQ(std::string::npos, printed([&](FILE *out) { write_json(out, report); }).find("unmaps_per_range"));
	EXPECT_EQ(std::string::npos, printed([&](FILE *out) { write_table(out, report); }).find("Backend"));
	report.backend.emplace();
	report.backend->stats.backend_unmaps = 5;
	report.backend->stats.unmapped_ranges = 200;
	report.backend->stats.unmapped_runs = 20;
	const std::string json = printed([&](FILE *out) { write_json(out, report); });
	EXPECT_NE(std::string::npos, json.find("\"unmaps_per_range\": 0.025,")) << json;
	EXPECT_NE(std::string::npos, json.find("\"runs_per_range\": 0.1,")) << json;
	const std::string table = printed([&](FILE *out) { write_table(out, report); });
	EXPECT_NE(std::string::npos, table.find("calls for 200 ranges: 1/40.0 for each")) << table;
	EXPECT_NE(std::string::npos, table.find("with VFIO: 1/10.0 for each")) << table;
}

TEST(BackendUseTest, EachBrokenPromiseCounts)
{
	BackendUse use;
	use.stats.unmapped_ranges = 7;
	EXPECT_EQ(0u, use.broken(7));
	EXPECT_EQ(1u, use.broken(8));
	for (uint64_t *fault : {&use.stats.deferred_ranges, &use.stats.bad_unmaps, &use.stats.quarantined_ranges,
				&use.stats.backend_errors}) {
		*fault = 1;
		EXPECT_EQ(1u, use.broken(7));
		*fault = 0;
	}
	use.stats.deferred_peak_bytes = use.bounds.max_bytes;
	EXPECT_EQ(0u, use.broken(7));
	use.stats.deferred_peak_bytes++;
	EXPECT_EQ(1u, use.broken(7));
	use.stats.deferred_peak_bytes = 0;
	use.stats.deferred_peak_us = 2 * use.bounds.max_age_us;
	EXPECT_EQ(0u, use.broken(7));
}

TEST(TableTest, Shares)
{
	EXPECT_EQ("1/40.0", one_in(0.025));
	EXPECT_EQ("1", one_in(1));
	EXPECT_EQ("0.531", one_in(0.5312));
	EXPECT_EQ("0", one_in(0));
	EXPECT_EQ("0, 2", listed({0, 2}));
}

TEST(RasterTest, SharesAreAreas)
{
	Raster raster({0, 100, 10}, {0, 80, 8}, 2);
	raster.add(5, 20, 0, 15, 1);
	EXPECT_DOUBLE_EQ(0.5, raster.at(0, 0).live);
	EXPECT_DOUBLE_EQ(1.0, raster.at(1, 0).live);
	EXPECT_DOUBLE_EQ(0.5, raster.at(1, 1).live);
	EXPECT_DOUBLE_EQ(0.25, raster.at(0, 1).live);
	EXPECT_EQ(1u, raster.at(1, 0).kind);
	EXPECT_EQ(0.0, raster.at(2, 0).live);
	raster.add(0, 100, 0, 5, 0);
	EXPECT_EQ(1u, raster.at(1, 0).kind);
	EXPECT_EQ(0u, raster.at(5, 0).kind);
}

TEST(RasterTest, CutsOffWhatIsOutside)
{
	Raster raster({10, 20, 10}, {10, 20, 10}, 1);
	raster.add(0, 100, 0, 100, 0);
	raster.add(0, 5, 12, 13, 0);
	raster.add(30, 40, 12, 13, 0);
	for (size_t i = 0; i < 10; i++)
		EXPECT_DOUBLE_EQ(1.0, raster.at(i, i).live);
}

TEST(SvgTicksTest, AreRound)
{
	EXPECT_EQ((std::vector<double>{0, 20, 40, 60, 80, 100}), decimal_ticks(0, 100, 6));
	EXPECT_EQ((std::vector<double>{0, 0.5, 1}), decimal_ticks(0, 1.2, 3));
	EXPECT_TRUE(decimal_ticks(3, 3, 5).empty());
	EXPECT_EQ((std::vector<uint64_t>{0x2000, 0x4000, 0x6000}), binary_ticks(0x1000, 0x7000, 4));
	EXPECT_TRUE(binary_ticks(5, 5, 4).empty());
}

TEST(TextTest, Numbers)
{
	EXPECT_EQ("0", grouped(0));
	EXPECT_EQ("999", grouped(999));
	EXPECT_EQ("1 000", grouped(1000));
	EXPECT_EQ("1 234 567", grouped(1234567));
	EXPECT_EQ("0 B", human_bytes(0));
	EXPECT_EQ("1.5 KiB", human_bytes(1536));
	EXPECT_EQ("4 GiB", human_bytes(4294967296.0));
}

}  // namespace
}  // namespace iovad::perf
