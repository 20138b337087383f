// SPDX-License-Identifier: BSD-3-Clause
// Debug mode: misuse of bounce pools.
#include <cerrno>

#include "debug_calls.h"
#include "debug_fixture.h"

namespace iovad::test {
namespace {

// A pool, and its domain in debug mode.
class BounceDebug : public testing::Test {
protected:
	BounceDebug()
	{
		iovad_bounce_conf conf;
		iovad_bounce_conf_init(&conf);
		conf.name = "debug";
		conf.domain = d;
		p = iovad_bounce_pool_create(&conf);
		EXPECT_NE(nullptr, p) << rte_strerror(rte_errno);
	}
	~BounceDebug() override { EXPECT_EQ(0, iovad_bounce_pool_destroy(p)); }

	rte_iova_t map(uint64_t len, uint32_t dir)
	{
		rte_iova_t iova = 0;
		EXPECT_EQ(0, test_bounces(p, memory, len, dir, &iova));
		return iova;
	}

	TestDomain d{debug_conf()};
	iovad_bounce_pool *p;
	char memory[8192] = {};
};

// Slots of one granule, and longer ones.
TEST_F(BounceDebug, UnmapsThatAreWrong)
{
	for (const uint64_t len : {100, 5000}) {
		const rte_iova_t iova = map(len, IOVAD_FROM_DEVICE);
		const std::string mapped = "mapped to a bounce slot: " + hex(iova) + ", " + std::to_string(len) + " bytes";
		{
			Expected finding(d.name(), "wrong_direction");
			EXPECT_EQ(-EACCES, iovad_bounce_unmap(p, iova, len, IOVAD_TO_DEVICE, 0));
			finding.check({hex(iova), "from device; it was an unmap, to device", mapped, "test_bounces+0x"});
		}
		{
			Expected finding(d.name(), "wrong_length");
			EXPECT_EQ(-ERANGE, iovad_bounce_unmap(p, iova, len - 1, IOVAD_FROM_DEVICE, 0));
			finding.check({hex(iova), "expected " + hex(iova) + ", " + std::to_string(len) + " bytes", mapped, "test_bounces+0x"});
		}
		{
			Expected finding(d.name(), "wrong_length");
			EXPECT_EQ(-EFAULT, iovad_bounce_unmap(p, iova + 8, len, IOVAD_FROM_DEVICE, 0));
			finding.check({hex(iova + 8), "expected " + hex(iova), mapped});
		}
		EXPECT_EQ(0, iovad_bounce_unmap(p, iova, len, IOVAD_FROM_DEVICE, 0));
		Expected finding(d.name(), "double_unmap");
		EXPECT_EQ(-EALREADY, iovad_bounce_unmap(p, iova, len, IOVAD_FROM_DEVICE, 0));
		finding.check({hex(iova), mapped, "test_bounces+0x", "unmapped by"});
	}
	Expected finding(d.name(), "never_mapped");
	EXPECT_EQ(-ENXIO, iovad_bounce_unmap(p, kPage, 100, IOVAD_FROM_DEVICE, 0));
	finding.check({hex(kPage) + ", 100 bytes", "expected what iovad_bounce_map() gave"});
}

TEST_F(BounceDebug, SyncsThatAreWrong)
{
	const rte_iova_t iova = map(100, IOVAD_BIDIRECTIONAL);
	{
		Expected finding(d.name(), "sync_beyond");
		EXPECT_EQ(-ERANGE, iovad_bounce_sync_for_cpu(p, iova, 50, 51, IOVAD_BIDIRECTIONAL));
		finding.check({hex(iova) + ", 51 bytes", "100 bytes, both directions; it was a sync of 51 bytes at 50", "test_bounces+0x"});
	}
	{
		Expected finding(d.name(), "wrong_direction");
		EXPECT_EQ(-EACCES, iovad_bounce_sync_for_device(p, iova, 0, 10, IOVAD_TO_DEVICE));
		finding.check({hex(iova), "both directions; it was a sync of 10 bytes at 0, to device", "test_bounces+0x"});
	}
	EXPECT_EQ(0, iovad_bounce_sync_for_cpu(p, iova, 50, 50, IOVAD_BIDIRECTIONAL));
	EXPECT_EQ(0, iovad_bounce_unmap(p, iova, 100, IOVAD_BIDIRECTIONAL, 0));
	Expected finding(d.name(), "bad_sync");
	EXPECT_EQ(-EALREADY, iovad_bounce_sync_for_cpu(p, iova, 0, 10, IOVAD_BIDIRECTIONAL));
	finding.check({hex(iova) + ", 10 bytes", "test_bounces+0x", "unmapped by"});
}

TEST_F(BounceDebug, AMapWhoseErrorNobodyLookedAt)
{
	rte_iova_t iova = 4711;
	EXPECT_EQ(-EINVAL, iovad_bounce_map(p, nullptr, 100, 0, IOVAD_TO_DEVICE, &iova));
	EXPECT_EQ(RTE_BAD_IOVA, iova);
	Expected finding(d.name(), "unchecked_map");
	EXPECT_NE(0, iovad_bounce_unmap(p, iova, 100, IOVAD_TO_DEVICE, 0));
	finding.check({"0xffffffffffffffff, 100 bytes", "iovad_bounce_unmap()"});
}

TEST_F(BounceDebug, SlotsThatAreMappedAtThePoolsEnd)
{
	const rte_iova_t iova = map(3000, IOVAD_TO_DEVICE);
	{
		Expected finding(d.name(), "leak");
		EXPECT_EQ(-EBUSY, iovad_bounce_pool_destroy(p));
		finding.check({hex(iova) + ", 3000 bytes", "mapped to a bounce slot", "test_bounces+0x"});
	}
	EXPECT_EQ(0, iovad_bounce_unmap(p, iova, 3000, IOVAD_TO_DEVICE, 0));
}

TEST_F(BounceDebug, WhatIsRightIsNoFinding)
{
	for (unsigned round = 0; round < 200; ++round) {
		const uint64_t len = 1 + round * 37 % sizeof memory;
		const rte_iova_t iova = map(len, IOVAD_BIDIRECTIONAL);
		EXPECT_EQ(0, iovad_bounce_sync_for_device(p, iova, 0, len, IOVAD_BIDIRECTIONAL));
		EXPECT_EQ(0, iovad_bounce_unmap(p, iova, len, IOVAD_BIDIRECTIONAL, 0));
	}
	EXPECT_EQ(0, iovad_bounce_verify(p, stderr));
	EXPECT_EQ(0u, sum_of_findings(d.name()));
	EXPECT_EQ(0u, number_of(findings_of(d.name()), "live"));
}

}  // namespace
}  // namespace iovad::test
