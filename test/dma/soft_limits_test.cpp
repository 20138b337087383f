// SPDX-License-Identifier: BSD-3-Clause
// What is refused, in VFIO's way, and that a refusal leaves no trace.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "soft_fixture.h"

namespace iovad::dma {
namespace {

using SoftLimitsTest = SoftTest;

constexpr uint64_t kVa = 0x7f0000000000;

bool same(const SoftStats &a, const SoftStats &b)
{
	return a.mappings == b.mappings && a.mapped_bytes == b.mapped_bytes &&
	       a.leaves_4k == b.leaves_4k && a.leaves_2m == b.leaves_2m &&
	       a.leaves_1g == b.leaves_1g && a.tables == b.tables && a.flushes == b.flushes;
}

uint64_t mappings_left(SoftIommu &soft)
{
	Info info;
	EXPECT_TRUE(soft.info(info).ok());
	return info.mappings_left;
}

TEST(SoftConfigTest, RefusesWhatCannotBeRight)
{
	const auto status = [](auto change) {
		SoftConfig config;
		change(config);
		std::unique_ptr<SoftIommu> soft;
		const Status s = SoftIommu::create(config, soft).status;
		EXPECT_EQ(soft != nullptr, s == Status::ok);
		return s;
	};
	EXPECT_EQ(status([](SoftConfig &) {}), Status::ok);
	EXPECT_EQ(status([](SoftConfig &c) { c.address_bits = 31; }), Status::invalid);
	EXPECT_EQ(status([](SoftConfig &c) { c.address_bits = 58; }), Status::invalid);
	EXPECT_EQ(status([](SoftConfig &c) { c.page_sizes = 0; }), Status::invalid);
	EXPECT_EQ(status([](SoftConfig &c) { c.page_sizes = 1u << 16; }), Status::invalid);
	EXPECT_EQ(status([](SoftConfig &c) { c.reserved = {{2, 1}}; }), Status::invalid);
	EXPECT_EQ(status([](SoftConfig &c) { c.max_tables = 0; }), Status::no_memory);
	EXPECT_EQ(status([](SoftConfig &c) { c.max_tables = 1; }), Status::ok);
}

TEST(SoftConfigTest, ValidSpansAreTheApertureWithoutHoles)
{
	using Spans = std::vector<Span>;
	const auto spans = [](const Spans &holes) {
		SoftConfig config;
		config.address_bits = 40;
		config.reserved = holes;
		Info info;
		EXPECT_TRUE(make_soft(config)->info(info).ok());
		std::vector<std::pair<uint64_t, uint64_t>> pairs;
		for (const Span &s : info.valid)
			pairs.emplace_back(s.first, s.last);
		return pairs;
	};
	using Pairs = std::vector<std::pair<uint64_t, uint64_t>>;
	const uint64_t last = (uint64_t{1} << 40) - 1, all = ~uint64_t{0};
	EXPECT_EQ(spans({}), (Pairs{{0, last}}));
	EXPECT_EQ(spans({{0xfee00000, 0xfeefffff}}), (Pairs{{0, 0xfedfffff}, {0xfef00000, last}}));
	EXPECT_EQ(spans({{8, 15}, {0, 3}}), (Pairs{{4, 7}, {16, last}}));
	EXPECT_EQ(spans({{4, 15}, {6, 9}, {12, 19}}), (Pairs{{0, 3}, {20, last}}));
	EXPECT_EQ(spans({{4, 7}, {8, 11}}), (Pairs{{0, 3}, {12, last}}));
	EXPECT_EQ(spans({{last, all}}), (Pairs{{0, last - 1}}));
	EXPECT_EQ(spans({{last + 1, all}}), (Pairs{{0, last}}));
	EXPECT_EQ(spans({{0, all}}), (Pairs{}));
	EXPECT_EQ(spans({{0, last}}), (Pairs{}));
}

TEST_F(SoftLimitsTest, InfoSaysWhatTheConfigurationSays)
{
	Info info;
	ASSERT_TRUE(soft->info(info).ok());
	EXPECT_EQ(info.page_sizes, k4K | k2M | k1G);
	EXPECT_EQ(info.mappings_left, 65535u);
	ASSERT_EQ(info.valid.size(), 2u);
	EXPECT_EQ(info.valid[1].last, (uint64_t{1} << 48) - 1);
	EXPECT_STREQ(soft->name(), "soft");
}

TEST_F(SoftLimitsTest, RefusesArgumentsThatCannotBeRight)
{
	const SoftStats before = soft->stats();
	const struct {
		uint64_t iova, va, len;
		uint32_t dir;
	} cases[] = {
		{k2M, kVa, 0, 3},
		{k2M + 1, kVa, k4K, 3},
		{k2M, kVa + 1, k4K, 3},
		{k2M, kVa, k4K + 1, 3},
		{k2M, kVa, 2048, 3},
		{k2M, kVa, k4K, 0},
		{k2M, kVa, k4K, 4},
		{k2M, kVa, k4K, 7},
		{k2M, 0, k4K, 3},
		{k2M, uint64_t{1} << 52, k4K, 3},
		{k2M, (uint64_t{1} << 52) - k4K, 2 * k4K, 3},
		{~uint64_t{0} - k4K + 1, kVa, 2 * k4K, 3},
		{k2M, kVa, ~uint64_t{0} - k4K + 1, 3},
		{uint64_t{1} << 48, kVa, k4K, 3},
		{(uint64_t{1} << 48) - k4K, kVa, 2 * k4K, 3},
		{0xfee00000, kVa, k4K, 3},
		{0xfedff000, kVa, 2 * k4K, 3},
		{0xfeeff000, kVa, 2 * k4K, 3},
		{0xf0000000, kVa, 0x10000000, 3},
	};
	for (const auto &c : cases) {
		const Outcome outcome = soft->map(c.iova, at(c.va), c.len, c.dir);
		EXPECT_EQ(outcome.status, Status::invalid) << std::hex << c.iova << " " << c.va << " " << c.len;
		EXPECT_EQ(outcome.error, EINVAL);
		EXPECT_STRNE(outcome.advice, "");
	}
	EXPECT_TRUE(same(soft->stats(), before));
}

TEST_F(SoftLimitsTest, TheEdgesOfTheWindowOfInterruptsAreUsable)
{
	EXPECT_EQ(map(0xfedff000, kVa, k4K), Status::ok);
	EXPECT_EQ(map(0xfef00000, kVa, k4K), Status::ok);
}

TEST_F(SoftLimitsTest, EveryOverlapExists)
{
	ASSERT_EQ(map(k1G, kVa, 4 * k4K), Status::ok);
	ASSERT_EQ(map(k1G + 8 * k4K, kVa, 4 * k4K), Status::ok);
	const SoftStats before = soft->stats();
	for (uint64_t first = 0; first < 16; ++first) {
		for (uint64_t end = first + 1; end <= 16; ++end) {
			const bool free = (first >= 4 && end <= 8) || first >= 12;
			const Outcome outcome =
				soft->map(k1G + first * k4K, at(kVa), (end - first) * k4K, 3);
			ASSERT_EQ(outcome.status, free ? Status::ok : Status::exists) << first << " " << end;
			if (free)
				ASSERT_EQ(unmap(k1G + first * k4K, (end - first) * k4K), Status::ok);
			else
				ASSERT_EQ(outcome.error, EEXIST);
		}
	}
	SoftStats after = soft->stats();
	after.flushes = before.flushes;
	EXPECT_TRUE(same(after, before));
}

// Two that touch, a hole, one more.
TEST_F(SoftLimitsTest, UnmapTakesRunsOfWholeMappings)
{
	const std::pair<uint64_t, uint64_t> mapped[] = {{0, 4}, {4, 6}, {8, 10}}, runs[] = {{0, 4}, {4, 6}, {8, 10}, {0, 6}};
	const auto map_all = [&] {
		for (const auto &[first, end] : mapped)
			map(k1G + first * k4K, kVa + first * k4K, (end - first) * k4K);
	};
	map_all();
	for (uint64_t first = 0; first < 12; ++first) {
		for (uint64_t end = first + 1; end <= 12; ++end) {
			const SoftStats before = soft->stats();
			const Outcome outcome = soft->unmap(k1G + first * k4K, (end - first) * k4K);
			if (std::ranges::find(runs, std::pair{first, end}) != std::end(runs)) {
				ASSERT_TRUE(outcome.ok()) << first << " " << end;
				ASSERT_EQ(read(k1G + first * k4K), nullptr);
				ASSERT_EQ(read(k1G + end * k4K - 1), nullptr);
				ASSERT_EQ(soft->stats().mapped_bytes, before.mapped_bytes - (end - first) * k4K);
				ASSERT_EQ(soft->stats().flushes, before.flushes + 1);
				ASSERT_EQ(unmap(k1G + first * k4K, (end - first) * k4K), Status::not_found);
				map_all();
			} else {
				const bool nothing = first >= 10 || (first >= 6 && end <= 8);
				ASSERT_EQ(outcome.status, Status::not_found) << first << " " << end;
				ASSERT_EQ(outcome.error, nothing ? ENOENT : EINVAL) << first << " " << end;
				ASSERT_TRUE(same(soft->stats(), before));
			}
			ASSERT_EQ(read(k1G, 6 * k4K), at(kVa));
			ASSERT_EQ(read(k1G + 8 * k4K, 2 * k4K), at(kVa + 8 * k4K));
		}
	}
	for (uint64_t len : {uint64_t{0}, uint64_t{1}, k4K + 1, ~uint64_t{0} - k4K + 1})
		EXPECT_EQ(unmap(k1G, len), Status::invalid);
	EXPECT_EQ(unmap(k1G + 1, k4K), Status::invalid);
	EXPECT_EQ(unmap(~uint64_t{0} - k4K + 1, k4K), Status::not_found);
}

// The caller knows what lies in the range, and says how much it is.
TEST_F(SoftLimitsTest, UnmapTakesRunsWithHolesThatAreKnown)
{
	const auto map_three = [&] {
		for (const uint64_t page : {0, 4, 6})
			map(k1G + page * k4K, kVa, (page == 4 ? 1 : 2) * k4K);
	};
	const struct {
		uint64_t first, end, mapped;
		bool ok;
	} cases[] = {
		{0, 8, 5, true},  {0, 5, 3, true},  {4, 8, 3, true},
		{0, 8, 8, false}, {0, 8, 4, false}, {0, 8, 6, false},  // another sum
		{0, 7, 5, false}, {0, 7, 4, false},                    // cut behind
		{1, 8, 5, false}, {1, 8, 3, false}, {3, 8, 3, false},  // cut before; a hole before
		{0, 9, 5, false}, {0, 6, 3, false}, {2, 4, 0, false},  // a hole behind; nothing
	};
	for (const auto &c : cases) {
		map_three();
		const SoftStats before = soft->stats();
		const Status got = soft->unmap(k1G + c.first * k4K, (c.end - c.first) * k4K, c.mapped * k4K).status;
		ASSERT_EQ(got, c.ok ? Status::ok : Status::not_found) << c.first << " " << c.end << " " << c.mapped;
		if (c.ok)
			ASSERT_EQ(soft->stats().mapped_bytes, before.mapped_bytes - c.mapped * k4K);
		else
			ASSERT_TRUE(same(soft->stats(), before));
		ASSERT_TRUE(soft->verify(stderr));
	}
}

TEST_F(SoftLimitsTest, TheBudgetOfMappingsEnds)
{
	SoftConfig config;
	config.max_mappings = 10;
	soft = make_soft(config);
	for (uint64_t i = 0; i < 10; ++i) {
		EXPECT_EQ(mappings_left(*soft), 10 - i);
		ASSERT_EQ(map(i * k2M, kVa, k4K), Status::ok);
	}
	EXPECT_EQ(mappings_left(*soft), 0u);
	const Outcome outcome = soft->map(k1G, at(kVa), k4K, 3);
	EXPECT_EQ(outcome.status, Status::no_space);
	EXPECT_EQ(outcome.error, ENOSPC);
	EXPECT_EQ(map(0, kVa, k4K), Status::exists) << "found before the budget is";
	ASSERT_EQ(unmap(0, k4K), Status::ok);
	EXPECT_EQ(mappings_left(*soft), 1u);
	EXPECT_EQ(map(k1G, kVa, k4K), Status::ok);
}

TEST_F(SoftLimitsTest, NoBudgetIsUnlimited)
{
	SoftConfig config;
	config.max_mappings = Info::kUnlimited;
	soft = make_soft(config);
	ASSERT_EQ(map(k2M, kVa, k4K), Status::ok);
	EXPECT_EQ(mappings_left(*soft), Info::kUnlimited);
}

TEST_F(SoftLimitsTest, LockedMemoryIsChargedPerMapping)
{
	SoftConfig config;
	config.locked_limit = 10 * k4K;
	soft = make_soft(config);
	ASSERT_EQ(map(1 * k2M, kVa, 6 * k4K), Status::ok);
	const Outcome alias = soft->map(2 * k2M, at(kVa), 6 * k4K, 3);
	EXPECT_EQ(alias.status, Status::no_memory) << "though the memory is the same";
	EXPECT_EQ(alias.error, ENOMEM);
	EXPECT_EQ(map(2 * k2M, kVa, 4 * k4K), Status::ok);
	EXPECT_EQ(map(3 * k2M, kVa, k4K), Status::no_memory);
	ASSERT_EQ(unmap(1 * k2M, 6 * k4K), Status::ok);
	EXPECT_EQ(map(1 * k2M, kVa, 7 * k4K), Status::no_memory);
	EXPECT_EQ(map(1 * k2M, kVa, 6 * k4K), Status::ok);
}

// Every number of tables too small, for ranges that need tables in all places.
TEST_F(SoftLimitsTest, WithoutMemoryForATableNothingChanges)
{
	SoftConfig config;
	config.address_bits = 57;
	soft = make_soft(config);
	ASSERT_EQ(map(513 * k1G, kVa, k4K), Status::ok);
	const struct {
		uint64_t iova, va, len;
	} cases[] = {
		{513 * k1G + k4K, kVa, k4K},                                       // no table
		{513 * k1G + k2M, kVa, k4K},                                       // one
		{uint64_t{1} << 50, kVa, k4K},                                     // a whole path
		{(uint64_t{1} << 51) - k4K, kVa, 2 * k4K},                         // two paths
		{(uint64_t{1} << 51) - k4K, kVa + 5 * k1G - k4K, k1G + k2M + k4K}, // with large pages
		{600 * k1G - k4K, kVa, 16 * k2M},                                  // many
	};
	unsigned refused = 0;
	for (const auto &c : cases) {
		const SoftStats before = soft->stats();
		for (uint64_t more = 0;; ++more) {
			soft->limit_tables(before.tables + more);
			const Outcome outcome = soft->map(c.iova, at(c.va), c.len, 3);
			if (outcome.ok())
				break;
			ASSERT_LT(more, 40u);
			++refused;
			ASSERT_EQ(outcome.status, Status::no_memory);
			ASSERT_EQ(outcome.error, ENOMEM);
			ASSERT_TRUE(same(soft->stats(), before));
			ASSERT_TRUE(soft->verify(stderr));
			ASSERT_EQ(read(c.iova), nullptr);
			ASSERT_EQ(mappings_left(*soft), 65534u);
		}
		ASSERT_EQ(read(c.iova, c.len), at(c.va));
		ASSERT_TRUE(soft->verify(stderr));
		ASSERT_EQ(unmap(c.iova, c.len), Status::ok);
		ASSERT_EQ(soft->stats().tables, before.tables);
	}
	EXPECT_GT(refused, 30u);
}

TEST_F(SoftLimitsTest, ALimitBelowWhatIsUsedRefusesMoreAndTakesNothing)
{
	ASSERT_EQ(map(k1G, kVa, k4K), Status::ok);
	soft->limit_tables(1);
	EXPECT_EQ(map(k1G + k4K, kVa, k4K), Status::no_memory);
	EXPECT_EQ(read(k1G), at(kVa));
	EXPECT_EQ(unmap(k1G, k4K), Status::ok);
}

}  // namespace
}  // namespace iovad::dma
