// SPDX-License-Identifier: BSD-3-Clause
// Reading answers to VFIO_IOMMU_GET_INFO: good ones, old ones, and broken ones.
#include <gtest/gtest.h>
#include <unistd.h>

#include <random>

#include "answer.h"
#include "dma/vfio/type1_info.h"

namespace iovad::dma {

// For EXPECT_EQ.
static bool operator==(const Span &a, const Span &b) { return a.first == b.first && a.last == b.last; }
static std::ostream &operator<<(std::ostream &os, const Span &s)
{
	return os << std::hex << s.first << '-' << s.last;
}

namespace {

constexpr uint64_t kPages = (1u << 12) | (1u << 21) | (1u << 30);
const std::vector<vfio_iova_range> kVtd = {{0, 0xfedfffff}, {0xfef00000, 0x7fffffffff}};
const std::vector<Span> kVtdSpans = {{0, 0xfedfffff}, {0xfef00000, 0x7fffffffff}};
const std::vector<Span> kAssumed = {
	{0, 0x07ffffff}, {0x08100000, 0xfedfffff}, {0xfef00000, 0x7fffffffff}};

Info parsed(const Answer &answer)
{
	Info info;
	const Outcome o = parse_type1_info(answer.bytes(), info);
	EXPECT_TRUE(o.ok()) << o.advice;
	return info;
}

void expect_refused(const Answer &answer)
{
	Info info;
	info.page_sizes = 77;
	const Outcome o = parse_type1_info(answer.bytes(), info);
	EXPECT_EQ(o.status, Status::failed);
	EXPECT_STRNE(o.advice, "");
	EXPECT_EQ(info.page_sizes, 77u) << "changed by a failure";
	EXPECT_TRUE(info.valid.empty()) << "changed by a failure";
}

TEST(Type1InfoTest, ReadsWhatALinuxKernelSays)
{
	const Info info = parsed(Answer(kPages).migration().budget(65523).ranges(kVtd));
	EXPECT_EQ(info.page_sizes, kPages);
	EXPECT_EQ(info.mappings_left, 65523u);
	EXPECT_EQ(info.valid, kVtdSpans);
}

TEST(Type1InfoTest, AssumesANarrowIommuWhereTheKernelTellsNoRanges)
{
	const Info info = parsed(Answer(kPages));
	EXPECT_EQ(info.page_sizes, kPages);
	EXPECT_EQ(info.mappings_left, Info::kUnlimited);
	EXPECT_EQ(info.valid, kAssumed);
}

TEST(Type1InfoTest, TakesTheFixedPartOfTheFirstKernels)
{
	EXPECT_EQ(parsed(Answer(kPages).cut(offsetof(vfio_iommu_type1_info, cap_offset))).page_sizes, kPages);
}

TEST(Type1InfoTest, AssumesTheCpusPageWhereTheKernelTellsNone)
{
	const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
	EXPECT_EQ(parsed(Answer(kPages, 0)).page_sizes, page) << "not flagged as valid";
	EXPECT_EQ(parsed(Answer(0)).page_sizes, page);
}

TEST(Type1InfoTest, IgnoresTheOffsetOfAChainThatIsNotFlagged)
{
	EXPECT_EQ(parsed(Answer(kPages).put(offsetof(vfio_iommu_type1_info, cap_offset), 5u)).valid, kAssumed);
}

TEST(Type1InfoTest, SkipsUnknownKindsAndVersions)
{
	const Info info = parsed(Answer(kPages)
					 .unknown(77)
					 .ranges({{1, 2}}, 2)
					 .budget(1, 0)
					 .budget(5)
					 .unknown(0xffff)
					 .ranges(kVtd));
	EXPECT_EQ(info.mappings_left, 5u);
	EXPECT_EQ(info.valid, kVtdSpans);
}

TEST(Type1InfoTest, CountsTheFirstOfTwoOfAKind)
{
	const Info info = parsed(Answer(kPages).budget(1).ranges(kVtd).budget(2).ranges({{0, 9}}));
	EXPECT_EQ(info.mappings_left, 1u);
	EXPECT_EQ(info.valid, kVtdSpans);
}

TEST(Type1InfoTest, BelievesThatNothingIsValid)
{
	EXPECT_TRUE(parsed(Answer(kPages).ranges({})).valid.empty());
}

TEST(Type1InfoTest, PutsRangesInOrderAndJoinsWhatOverlaps)
{
	const Info info = parsed(Answer(kPages).ranges({{0x5000, 0x6fff}, {0, 0xfff}, {0x6000, 0x8fff}}));
	EXPECT_EQ(info.valid, (std::vector<Span>{{0, 0xfff}, {0x5000, 0x8fff}}));
}

TEST(Type1InfoTest, ReachesTheLastAddress)
{
	const std::vector<Span> all = {{0, ~uint64_t{0}}};
	EXPECT_EQ(parsed(Answer(kPages).ranges({{0, ~uint64_t{0}}})).valid, all);
	EXPECT_EQ(parsed(Answer(kPages).ranges({{0, ~uint64_t{0}}, {7, ~uint64_t{0}}})).valid, all);
}

TEST(Type1InfoTest, ReadsAtOddOffsets)
{
	Answer answer(kPages);
	answer.budget(3).cut(256);
	for (size_t i = 255; i > answer.last(); i--)
		answer.put(i, answer.bytes()[i - 1]);
	answer.put(offsetof(vfio_iommu_type1_info, cap_offset), static_cast<uint32_t>(answer.last() + 1));
	EXPECT_EQ(parsed(answer).mappings_left, 3u);
}

TEST(Type1InfoTest, RefusesAnAnswerThatIsTooShort)
{
	for (size_t size = 0; size < offsetof(vfio_iommu_type1_info, cap_offset); size++)
		expect_refused(Answer(kPages).cut(size));
}

TEST(Type1InfoTest, RefusesCapabilitiesOutsideTheAnswer)
{
	Answer answer = Answer(kPages).budget(1);
	const size_t end = answer.bytes().size();
	const size_t next = answer.last() + offsetof(vfio_info_cap_header, next);
	for (const size_t bad : {end - 7, end - 1, end, end + 1, size_t{0x7fffffff}, size_t{0xffffffff}, size_t{1}}) {
		expect_refused(Answer(answer).put(next, static_cast<uint32_t>(bad)));
		expect_refused(Answer(answer).put(offsetof(vfio_iommu_type1_info, cap_offset),
						  static_cast<uint32_t>(bad)));
	}
}

TEST(Type1InfoTest, RefusesLoops)
{
	Answer self = Answer(kPages).unknown(9);
	expect_refused(self.put(self.last() + offsetof(vfio_info_cap_header, next),
				static_cast<uint32_t>(self.last())));

	Answer pair = Answer(kPages).budget(1);
	const auto first = static_cast<uint32_t>(pair.last());
	pair.ranges(kVtd);
	expect_refused(pair.put(pair.last() + offsetof(vfio_info_cap_header, next), first));
}

TEST(Type1InfoTest, RefusesCapabilitiesThatAreCutOff)
{
	const Answer whole = Answer(kPages).budget(1).ranges(kVtd);
	for (size_t size = sizeof(vfio_iommu_type1_info); size < whole.bytes().size(); size++)
		expect_refused(Answer(whole).cut(size));
}

TEST(Type1InfoTest, RefusesMoreRangesThanThereAre)
{
	Answer answer = Answer(kPages).ranges(kVtd);
	const size_t count = answer.last() + offsetof(vfio_iommu_type1_info_cap_iova_range, nr_iovas);
	for (const uint32_t n : {3u, 0x10000001u, 0xffffffffu})
		expect_refused(Answer(answer).put(count, n));
}

TEST(Type1InfoTest, RefusesARangeThatEndsBeforeItBegins)
{
	expect_refused(Answer(kPages).ranges({{0, 5}, {9, 8}}));
}

// What the fuzzer does, in small: whatever is said, the result keeps what Info promises.
TEST(Type1InfoTest, SurvivesDamage)
{
	const unsigned seed = std::random_device{}();
	SCOPED_TRACE(seed);
	std::mt19937 random(seed);
	const Answer whole = Answer(kPages).migration().budget(9).ranges(kVtd);
	for (int round = 0; round < 20000; round++) {
		Answer answer = whole;
		for (unsigned hits = 1 + random() % 4; hits; hits--)
			answer.put(random() % answer.bytes().size(), static_cast<uint8_t>(random()));
		Info info;
		if (!parse_type1_info(answer.bytes(), info).ok())
			continue;
		EXPECT_NE(info.page_sizes, 0u);
		for (size_t i = 0; i < info.valid.size(); i++) {
			EXPECT_LE(info.valid[i].first, info.valid[i].last);
			EXPECT_TRUE(i == 0 || info.valid[i - 1].last < info.valid[i].first);
		}
	}
}

}  // namespace
}  // namespace iovad::dma
