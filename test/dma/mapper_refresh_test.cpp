// SPDX-License-Identifier: BSD-3-Clause
// What devices can address changes.
#include <cerrno>

#include "mapper_fixture.h"

namespace iovad::dma {
namespace {

class Refresh : public testing::Test {
protected:
	// 64 pages from 1 GiB on, exact.
	static constexpr uint64_t kFirst = k1G, kLast = k1G + 64 * k4K - 1;
	Rig rig{{.last = kLast, .first = kFirst, .cached = false}};
	uint64_t reserved() { return rig.domain.stats().reserved_granules; }
	Outcome refresh(std::vector<Span> valid, Span *conflict = nullptr)
	{
		rig.tuned->valid = std::move(valid);
		return rig.mapper.refresh(conflict);
	}
};

TEST_F(Refresh, WhatIsNotValidIsNotHandedOutAnyMore)
{
	EXPECT_TRUE(refresh({{0, kNoLimit}}).ok());
	EXPECT_EQ(0u, reserved());
	EXPECT_TRUE(refresh({{0, kLast - 16 * k4K}}).ok());
	EXPECT_EQ(16u, reserved());
	EXPECT_TRUE(refresh({{kFirst + 8 * k4K, kLast - 16 * k4K}}).ok());
	EXPECT_EQ(24u, reserved());
	EXPECT_TRUE(refresh({{kFirst + 8 * k4K, kFirst + 16 * k4K - 1}, {kFirst + 20 * k4K, kLast - 16 * k4K}}).ok());
	EXPECT_EQ(28u, reserved());
	EXPECT_TRUE(refresh({{kFirst + 8 * k4K, kFirst + 16 * k4K - 1}, {kFirst + 20 * k4K, kLast - 16 * k4K}}).ok()) << "again";
	EXPECT_EQ(28u, reserved());
	uint64_t iova;
	std::vector<uint64_t> all;
	while (rig.map(kMemory + 2 * k4K * all.size(), k4K, iova) == Status::ok) {
		EXPECT_TRUE(iova >= kFirst + 8 * k4K && iova + k4K - 1 <= kLast - 16 * k4K) << std::hex << iova;
		EXPECT_FALSE(iova >= kFirst + 16 * k4K && iova < kFirst + 20 * k4K) << std::hex << iova;
		all.push_back(iova);
	}
	EXPECT_EQ(36u, all.size());
	for (const uint64_t each : all)
		EXPECT_EQ(Status::ok, rig.unmap(each, k4K));
}

TEST_F(Refresh, GranulesThatAreCutAreNotValid)
{
	EXPECT_TRUE(refresh({{kFirst + 1, kFirst + 3 * k4K}, {kFirst + 5 * k4K + 2, kLast - 1}}).ok());
	EXPECT_EQ(64u - 2 - 57, reserved());
}

TEST_F(Refresh, NothingValidInTheWindow)
{
	EXPECT_TRUE(refresh({{0, kFirst - 1}, {kLast + 1, kNoLimit}}).ok());
	EXPECT_EQ(64u, reserved());
	uint64_t iova;
	EXPECT_EQ(Status::no_space, rig.map(kMemory, 1, iova));
}

TEST_F(Refresh, WhatIsInUseIsAConflictAndTheRestIsKeptOut)
{
	const uint64_t top = rig.mapped(kMemory, k4K), next = rig.mapped(kMemory + 2 * k4K, 3 * k4K);
	ASSERT_EQ(kLast - k4K + 1, top);
	Span conflict{};
	const Outcome o = refresh({{kFirst + 2 * k4K, kFirst + 10 * k4K - 1}}, &conflict);
	EXPECT_EQ(Status::exists, o.status);
	EXPECT_NE('\0', *o.advice);
	EXPECT_EQ(next, conflict.first);
	EXPECT_EQ(next + 4 * k4K - 1, conflict.last) << "three pages occupy four";
	EXPECT_EQ(64u - 8 - 5, reserved());
	EXPECT_TRUE(rig.reaches(top, kMemory, k4K, 3)) << "what is mapped stays";
	EXPECT_EQ(Status::ok, rig.unmap(top, k4K));
	EXPECT_EQ(Status::ok, rig.unmap(next, 3 * k4K));
	EXPECT_TRUE(rig.mapper.refresh().ok());
	EXPECT_EQ(64u - 8, reserved());
}

TEST_F(Refresh, WhatCachesHoldIsNotInUse)
{
	Rig cached({.last = kLast, .first = kFirst});
	const uint64_t iova = cached.mapped(kMemory, k4K);
	ASSERT_EQ(Status::ok, cached.unmap(iova, k4K));
	cached.tuned->valid = {{kFirst, kFirst + 4 * k4K - 1}};
	EXPECT_TRUE(cached.mapper.refresh().ok());
	EXPECT_EQ(60u, cached.domain.stats().reserved_granules);
}

TEST_F(Refresh, ABackendThatDoesNotAnswerChangesNothing)
{
	rig.faulty.fail(Call::info, 1, kBroken);
	const Snapshot before = rig.snapshot();
	const Outcome o = refresh({{0, kFirst}});
	EXPECT_EQ(Status::failed, o.status);
	EXPECT_EQ(EIO, o.error);
	EXPECT_EQ(before, rig.snapshot());
}

}  // namespace
}  // namespace iovad::dma
