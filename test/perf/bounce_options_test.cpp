// SPDX-License-Identifier: BSD-3-Clause
#include "bounce/bounce_options.h"

#include <gtest/gtest.h>

#include "parsed.h"

namespace iovad::perf {
namespace {

constexpr test::Parser<BounceOptions> parsed = {"bounce", parse_bounce_options};

std::string error_of(std::initializer_list<std::string> arguments) { return parsed.error_of(arguments); }

TEST(BounceOptionsTest, HasDefaults)
{
	const BounceOptions options = parsed({});
	EXPECT_FALSE(options.vfio);
	EXPECT_EQ(0u, options.lcores);
	EXPECT_EQ(15u, options.rounds);
	EXPECT_EQ(64u, options.sizes.front());
	EXPECT_EQ(1048576u, options.sizes.back());
	EXPECT_TRUE(options.json.empty());
	EXPECT_TRUE(options.svg.empty());
}

TEST(BounceOptionsTest, TakesAll)
{
	const BounceOptions options = parsed({"--backend", "vfio", "--sizes=1,64,4194304", "--lcores", "3", "--rounds", "7",
					      "--json", "j", "--svg", "s"});
	EXPECT_TRUE(options.vfio);
	EXPECT_EQ((std::vector<uint64_t>{1, 64, 4194304}), options.sizes);
	EXPECT_EQ(3u, options.lcores);
	EXPECT_EQ(7u, options.rounds);
	EXPECT_EQ("j", options.json);
	EXPECT_EQ("s", options.svg);
	EXPECT_TRUE(parsed({"--help", "--nonsense"}).help);
}

TEST(BounceOptionsTest, SaysWhatIsWrong)
{
	EXPECT_EQ("--backend takes 'soft' or 'vfio', not 'none'", error_of({"--backend", "none"}));
	EXPECT_EQ("--sizes: each is to be larger than the one before it", error_of({"--sizes", "64,32"}));
	for (const char *sizes : {"", "0", "64,", ",64", "4194305", "x"})
		EXPECT_EQ(0u, error_of({"--sizes", sizes}).find("--sizes")) << sizes;
	EXPECT_EQ("--rounds needs a value", error_of({"--rounds"}));
	EXPECT_EQ("bounce does not know '--frob'; see 'iovad-perf -- bounce --help'", error_of({"--frob"}));
	EXPECT_EQ("bounce does not know 'word'; see 'iovad-perf -- bounce --help'", error_of({"word"}));
}

}  // namespace
}  // namespace iovad::perf
