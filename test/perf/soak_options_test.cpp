// SPDX-License-Identifier: BSD-3-Clause
#include "soak/soak_options.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "parsed.h"

namespace iovad::perf {
namespace {

constexpr test::Parser<SoakOptions> parsed = {"soak", parse_soak_options};

std::string error_of(std::initializer_list<std::string> arguments) { return parsed.error_of(arguments); }

TEST(SoakOptionsTest, HasDefaults)
{
	const SoakOptions options = parsed({});
	EXPECT_EQ(60, options.seconds);
	EXPECT_EQ(0u, options.ops);
	EXPECT_EQ(2u, options.threads);
	EXPECT_EQ(-1, options.visitors) << "as many as are possible";
	EXPECT_EQ(200u, options.kill_every_ms);
	EXPECT_EQ(1000u, options.fault_every);
	EXPECT_EQ(5, options.interval);
	EXPECT_EQ(1u, options.seed);
	EXPECT_TRUE(options.json.empty());
}

TEST(SoakOptionsTest, TakesAll)
{
	const SoakOptions options = parsed({"--ops", "9", "--threads=0", "--visitors", "3", "--kill-every", "0", "--fault-every",
					    "7", "--interval", "0.5", "--seed", "42", "--json", "j"});
	EXPECT_EQ(0, options.seconds);
	EXPECT_EQ(9u, options.ops);
	EXPECT_EQ(0u, options.threads);
	EXPECT_EQ(3, options.visitors);
	EXPECT_EQ(0u, options.kill_every_ms);
	EXPECT_EQ(7u, options.fault_every);
	EXPECT_EQ(0.5, options.interval);
	EXPECT_EQ(42u, options.seed);
	EXPECT_EQ("j", options.json);
	EXPECT_EQ(90, parsed({"--minutes", "1.5"}).seconds);
	EXPECT_EQ(0.25, parsed({"--seconds", "0.25"}).seconds);
	EXPECT_TRUE(parsed({"--help"}).help);
}

TEST(SoakOptionsTest, RefusesMistakes)
{
	EXPECT_EQ("--seconds takes a number from 0.01 to 2.592e+06, not '0'", error_of({"--seconds", "0"}));
	for (const char *word : {"x", "", "1x", "nan", "inf", "-1"})
		EXPECT_EQ(std::string("--minutes takes a number from 0.000166667 to 43200, not '") + word + "'",
			  error_of({"--minutes", word}));
	EXPECT_EQ("--visitors takes a number from 0 to 16, not '17'", error_of({"--visitors", "17"}));
	EXPECT_EQ("--ops and --seconds or --minutes: one of them says when to end", error_of({"--ops", "2", "--minutes", "1"}));
	EXPECT_EQ("soak does not know 'stray'; see 'iovad-perf -- soak --help'", error_of({"stray"}));
}

}  // namespace
}  // namespace iovad::perf
