// SPDX-License-Identifier: BSD-3-Clause
#include "bounce/bounce_report.h"

#include <gtest/gtest.h>

#include "printed.h"

namespace iovad::perf {
namespace {

using test::printed;

SizeReport size_of(uint64_t bytes, double bounced, double mapped)
{
	SizeReport size;
	size.bytes = bytes;
	for (Spread &spread : size.ns)
		spread = {10, 9, 11};
	size.ns[static_cast<unsigned>(Way::bounce_sent)].median = bounced;
	size.ns[static_cast<unsigned>(Way::mapped_strict)].median = mapped;
	return size;
}

TEST(BounceReportTest, TheCrossoverIsWhereTheLinesMeet)
{
	BounceReport report;
	report.sizes = {size_of(100, 10, 50), size_of(200, 40, 60), size_of(300, 90, 70)};
	ASSERT_TRUE(report.crossover(Way::mapped_strict).has_value());
	EXPECT_DOUBLE_EQ(250, *report.crossover(Way::mapped_strict));
	report.sizes.pop_back();
	EXPECT_FALSE(report.crossover(Way::mapped_strict).has_value()) << "always cheaper";
	report.sizes.front() = size_of(100, 60, 50);
	EXPECT_DOUBLE_EQ(0, *report.crossover(Way::mapped_strict)) << "never";
}

TEST(BounceReportTest, TellsWhatTheCopyCostsBesideMemcpyAndThePair)
{
	SizeReport size = size_of(64, 5, 5);
	size.ns[static_cast<unsigned>(Way::bounce)].median = 40;
	EXPECT_DOUBLE_EQ(3, size.pairs_beyond_copy());
	EXPECT_DOUBLE_EQ(0.25, size.share_of_bandwidth());
}

TEST(BounceReportTest, SaysAllInEveryForm)
{
	BounceReport report;
	report.lcores = {0, 1};
	report.sizes = {size_of(100, 10, 50), size_of(300, 90, 50)};
	report.scaling = {{100, 2, {7, 6, 8}}};
	EXPECT_TRUE(report.good());
	const std::string table = printed([&](FILE *out) { write_table(out, report); });
	EXPECT_NE(std::string::npos, table.find("200   bytes: up to here a copy that is sent is cheaper")) << table;
	const std::string json = printed([&](FILE *out) { write_json(out, report); });
	EXPECT_NE(std::string::npos, json.find("\"crossover_mapped\": 200,")) << json;
	EXPECT_NE(std::string::npos, json.find("\"100 bytes, 2 lcores\"")) << json;
	const std::string svg = printed([&](FILE *out) { write_svg(out, report); });
	EXPECT_NE(std::string::npos, svg.find("copy, not strict: 200 B")) << svg;
	report.wrong = 1;
	EXPECT_FALSE(report.good());
}

}  // namespace
}  // namespace iovad::perf
