// SPDX-License-Identifier: BSD-3-Clause
// Debug mode as the environment has it.
#include <cerrno>
#include <cstdlib>

#include "debug_calls.h"
#include "debug_fixture.h"

namespace iovad::test {
namespace {

// The environment speaks when a domain is created.
class DebugEnvironment : public testing::Test {
protected:
	~DebugEnvironment() override { unsetenv("IOVAD_DEBUG"); }

	static iovad_domain_conf plain_conf()
	{
		iovad_domain_conf conf = debug_conf();
		conf.flags = 0;
		return conf;
	}
};

TEST_F(DebugEnvironment, TurnsItOnForWhatDoesNotAskForIt)
{
	setenv("IOVAD_DEBUG", "on", 1);
	const TestDomain d(plain_conf());
	rte_iova_t iova = 0;
	ASSERT_EQ(0, test_takes(d, kPage, &iova));
	ASSERT_EQ(0, test_gives_back(d, iova, kPage));
	Expected finding(d.name(), "double_free");
	EXPECT_EQ(-ENOENT, test_gives_back(d, iova, kPage));
	finding.check({hex(iova), "test_takes+0x"});
	EXPECT_NE(std::string::npos, TelemetryClient().ask(std::string("/iovad/info,") + d.name()).find("\"flags\":[\"debug\"]"));
}

TEST_F(DebugEnvironment, SaysHowMuchIsRemembered)
{
	setenv("IOVAD_DEBUG", "on,history=3", 1);
	const TestDomain d(plain_conf());
	for (unsigned i = 0; i < 5; ++i)
		EXPECT_EQ(0, iovad_free(d, d.alloc(kPage), kPage));
	const std::string answer = findings_of(d.name());
	EXPECT_EQ(3u, number_of(answer, "ended"));
	EXPECT_EQ(2u, number_of(answer, "forgotten"));
}

TEST_F(DebugEnvironment, SaysHowMuchComesBackLate)
{
	setenv("IOVAD_DEBUG", "on,quarantine=0", 1);
	const TestDomain none(plain_conf());
	rte_iova_t iova = none.alloc(kPage);
	EXPECT_EQ(0, iovad_free(none, iova, kPage));
	EXPECT_EQ(iova, none.alloc(kPage));
	EXPECT_EQ(0, iovad_free(none, iova, kPage));
	setenv("IOVAD_DEBUG", "on,quarantine=2", 1);
	const TestDomain two(plain_conf());
	iova = two.alloc(kPage);
	EXPECT_EQ(0, iovad_free(two, iova, kPage));
	for (const bool back : {false, false, true}) {
		const rte_iova_t next = two.alloc(kPage);
		EXPECT_EQ(back, next == iova);
		EXPECT_EQ(0, iovad_free(two, next, kPage));
	}
}

TEST_F(DebugEnvironment, IsRefusedWhereItIsNotUnderstood)
{
	for (const char *text : {"yes", "on,", ",on", "on,fatal,history", "history=", "history=-1", "history=1x", "history=99999999999",
				 "quarantine=65537", "ON"}) {
		setenv("IOVAD_DEBUG", text, 1);
		Log log;
		iovad_domain_conf conf = plain_conf();
		conf.name = "refused";
		EXPECT_EQ(nullptr, iovad_domain_create(&conf)) << text;
		EXPECT_EQ(EINVAL, rte_errno);
		EXPECT_NE(std::string::npos, log.text().find("possible are, comma-separated: on, fatal, history=RANGES")) << log.text();
	}
	for (const char *text : {"", "fatal", "history=5,quarantine=65536"}) {
		setenv("IOVAD_DEBUG", text, 1);
		const TestDomain d(plain_conf());
		EXPECT_EQ("{\"on\":0}", findings_of(d.name())) << text;
	}
}

using DebugDeathTest = DebugEnvironment;

TEST_F(DebugDeathTest, FatalEndsTheProgramAfterTheReport)
{
	setenv("IOVAD_DEBUG", "fatal", 1);
	const TestDomain d(debug_conf());
	EXPECT_EQ(1u, number_of(findings_of(d.name()), "fatal"));
	EXPECT_EXIT(
		{
			rte_openlog_stream(stderr);
			iovad_free(d, 32 * kPage, kPage);
		},
		testing::KilledBySignal(SIGABRT), "never allocated: 0x20000, 4096 bytes");
}

}  // namespace
}  // namespace iovad::test
