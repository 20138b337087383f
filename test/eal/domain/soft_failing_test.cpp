// SPDX-License-Identifier: BSD-3-Clause
// iovad_soft.h: which calls fail, how, and what is left of them.
#include <cstdlib>

#include "../eal_setup.h"
#include "../test_domain.h"
#include "iovad/iovad_control.h"
#include "iovad/iovad_soft.h"

namespace iovad::test {
namespace {

iovad_domain_conf soft_conf()
{
	iovad_domain_conf conf = conf_of(0, 0);
	conf.backend = IOVAD_BACKEND_SOFT;
	return conf;
}

// Memory that need not be there: the software IOMMU touches none.
void *const kMemory = reinterpret_cast<void *>(0x7f0000000000);

int map(iovad_domain *d, rte_iova_t &iova) { return iovad_map(d, kMemory, kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &iova); }

TEST(SoftFailing, IsForSoftwareIommus)
{
	EXPECT_EQ(-EINVAL, iovad_soft_fail_every(nullptr, 1));
	EXPECT_EQ(0u, iovad_soft_failures(nullptr));
	const TestDomain none(conf_of(0, 0));
	EXPECT_EQ(-ENOTSUP, iovad_soft_fail_every(none, 1));
	EXPECT_EQ(0u, iovad_soft_failures(none));
}

TEST(SoftFailing, EveryNthCallFailsAndDoesNothing)
{
	const TestDomain d(soft_conf());
	ASSERT_EQ(0, iovad_soft_fail_every(d, 3));
	rte_iova_t iova = 0;
	for (unsigned i = 1; i <= 12; ++i) {
		const State before = state_of(d);
		if (i % 3 == 0) {
			EXPECT_EQ(-EIO, map(d, iova)) << i;
			EXPECT_EQ(before, state_of(d));
			continue;
		}
		ASSERT_EQ(0, map(d, iova)) << i;
		// Unmapping would count as well.
		iovad_soft_fail_every(d, 0);
		EXPECT_EQ(0, iovad_unmap(d, iova, kPage));
		iovad_soft_fail_every(d, 3);
	}
	EXPECT_EQ(4u, iovad_soft_failures(d));
	EXPECT_EQ(4u, stats_of(d).backend_errors);
}

// As with hardware that does not answer: devices may still reach it, so the address stays nobody's until it is gone.
TEST(SoftFailing, WhatIsNotUnmappedIsQuarantined)
{
	const TestDomain d(soft_conf());
	rte_iova_t iova = 0;
	ASSERT_EQ(0, map(d, iova));
	ASSERT_EQ(0, iovad_soft_fail_every(d, 1));
	EXPECT_EQ(-EIO, iovad_unmap_strict(d, iova, kPage));
	EXPECT_EQ(1u, stats_of(d).quarantined_ranges);
	ASSERT_EQ(0, iovad_soft_fail_every(d, 0));
	EXPECT_EQ(0, iovad_flush(d));
	EXPECT_EQ(0u, stats_of(d).quarantined_ranges);
	const uint64_t failures = iovad_soft_failures(d);
	EXPECT_GT(failures, 0u);
	ASSERT_EQ(0, map(d, iova));
	EXPECT_EQ(0, iovad_unmap_strict(d, iova, kPage));
	EXPECT_EQ(failures, iovad_soft_failures(d)) << "0: none fails any more";
}

}  // namespace
}  // namespace iovad::test
