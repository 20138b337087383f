// SPDX-License-Identifier: BSD-3-Clause
// What must never happen, so that the checker has to be told of it: an address handed out while devices may still
// reach what it was.
#include "../captured_log.h"
#include "../test_domain.h"
#include "eal/domain/handle.h"
#include "iovad/iovad_control.h"
#include "iovad/iovad_dma.h"

namespace iovad::test {
namespace {

using eal::debug::Finding;

alignas(kPage) char memory[kPage];

TEST(DebugReuse, AnAddressThatIsStillDeferred)
{
	iovad_domain_conf conf = conf_of(kPage, UINT32_MAX, IOVAD_DOMAIN_F_DEBUG);
	conf.backend = IOVAD_BACKEND_SOFT;
	conf.unmap_policy = IOVAD_UNMAP_LAZY;
	const TestDomain d(conf);
	eal::debug::Checker &checker = *static_cast<iovad_domain *>(d)->checker;
	iovad_control_poll();
	rte_iova_t iova;
	ASSERT_EQ(0, iovad_map(d, memory, kPage, kNoLimit, IOVAD_TO_DEVICE, &iova));
	ASSERT_EQ(0, iovad_unmap(d, iova, kPage));
	{
		Log log;
		checker.allocated(iova, kPage);
		EXPECT_EQ(1u, checker.findings().counted(Finding::early_reuse));
		EXPECT_NE(std::string::npos, log.text().find("early reuse: ")) << log.text();
		EXPECT_NE(std::string::npos, log.text().find("unmapped lazily by")) << log.text();
	}
	checker.freed(iova, kPage, checker.freeing(iova, kPage));
	// Not any more.
	ASSERT_EQ(0, iovad_flush(d));
	checker.allocated(iova, kPage);
	checker.freed(iova, kPage, checker.freeing(iova, kPage));
	EXPECT_EQ(1u, checker.findings().counted(Finding::early_reuse));
}

}  // namespace
}  // namespace iovad::test
