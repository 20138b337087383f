// SPDX-License-Identifier: BSD-3-Clause
// The control lcore belongs to the process that created the domains.
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "../eal_setup.h"
#include "../secondary_peer.h"
#include "../test_domain.h"

namespace iovad::test {
namespace {

std::unique_ptr<Peer> attached(const TestDomain &d)
{
	auto peer = std::make_unique<Peer>(std::getenv("IOVAD_TEST_PREFIX"));
	EXPECT_EQ(0, peer->ask(std::string("lookup ") + d.name()));
	return peer;
}

TEST(ControlSecondary, HasNone)
{
	if (!test_eal_can_share())
		GTEST_SKIP() << "IOVAD_TEST_EAL_ARGS is not set: without --huge-dir processes share no memory";
	iovad_domain_conf conf = conf_of(0, 0);
	const TestDomain none(conf);
	conf.backend = IOVAD_BACKEND_SOFT;
	const TestDomain soft(conf);
	const auto peer = attached(soft);
	EXPECT_EQ(-ENOTSUP, peer->ask("control_thread"));
	EXPECT_EQ(-ENOTSUP, peer->ask("control_service"));
	EXPECT_EQ(0, peer->ask("control_poll"));
	EXPECT_EQ(-ENOTSUP, peer->ask("flush"));
	EXPECT_EQ(0, peer->ask("detach"));
	EXPECT_EQ(0, peer->ask(std::string("lookup ") + none.name()));
	EXPECT_EQ(0, peer->ask("flush")) << "it has no mappings";
	EXPECT_EQ(0, peer->ask("detach"));
}

}  // namespace
}  // namespace iovad::test
