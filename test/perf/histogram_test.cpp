// SPDX-License-Identifier: BSD-3-Clause
#include "measure/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace iovad::perf {
namespace {

TEST(HistogramTest, IsEmptyAtFirst)
{
	const Histogram h;
	EXPECT_EQ(0u, h.count());
	EXPECT_EQ(0u, h.percentile(5000));
	EXPECT_EQ(0.0, h.mean());
}

TEST(HistogramTest, SmallValuesAreExact)
{
	Histogram h;
	for (uint64_t v = 1; v <= 100; v++)
		h.record(v);
	EXPECT_EQ(50u, h.percentile(5000));
	EXPECT_EQ(90u, h.percentile(9000));
	EXPECT_EQ(99u, h.percentile(9900));
	EXPECT_EQ(100u, h.percentile(9990));
	EXPECT_EQ(1u, h.percentile(0));
	EXPECT_EQ(100u, h.max());
	EXPECT_EQ(50.5, h.mean());
}

TEST(HistogramTest, RanksAreExactWhereFloatingPointWouldNotBe)
{
	Histogram h;
	for (unsigned i = 0; i < 999; i++)
		h.record(1);
	h.record(100);
	EXPECT_EQ(1u, h.percentile(9990));
	EXPECT_EQ(100u, h.percentile(9991));
}

TEST(HistogramTest, BothEndsOfTheRangeFit)
{
	Histogram h;
	h.record(0);
	h.record(UINT64_MAX);
	EXPECT_EQ(0u, h.percentile(5000));
	EXPECT_EQ(UINT64_MAX, h.percentile(10000));
}

TEST(HistogramTest, PercentilesAreAtMostOneBucketTooHigh)
{
	constexpr unsigned kSeed = 7;
	std::mt19937_64 random(kSeed);
	std::lognormal_distribution<double> latency(6, 2);
	Histogram h;
	std::vector<uint64_t> values;
	for (unsigned i = 0; i < 100000; i++) {
		values.push_back(static_cast<uint64_t>(latency(random)));
		h.record(values.back());
	}
	std::sort(values.begin(), values.end());
	for (const unsigned p : {1u, 100u, 5000u, 9000u, 9900u, 9990u, 9999u, 10000u}) {
		const uint64_t exact = values[(values.size() * p + 9999) / 10000 - 1];
		EXPECT_GE(h.percentile(p), exact) << "p " << p << " seed " << kSeed;
		EXPECT_LE(h.percentile(p), exact + exact / 64) << "p " << p << " seed " << kSeed;
	}
}

TEST(HistogramTest, MergingIsRecordingBoth)
{
	Histogram a, b, both;
	for (uint64_t v = 0; v < 5000; v += 7) {
		(v % 2 == 0 ? a : b).record(v * v);
		both.record(v * v);
	}
	a.merge(b);
	EXPECT_EQ(both.count(), a.count());
	EXPECT_EQ(both.sum(), a.sum());
	EXPECT_EQ(both.max(), a.max());
	for (unsigned p = 0; p <= 10000; p += 100)
		EXPECT_EQ(both.percentile(p), a.percentile(p));
}

}  // namespace
}  // namespace iovad::perf
