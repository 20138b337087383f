// SPDX-License-Identifier: BSD-3-Clause
#include "churn/churn_options.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "parsed.h"

namespace iovad::perf {
namespace {

constexpr test::Parser<ChurnOptions> parsed = {"churn", parse_churn_options};

std::string error_of(std::initializer_list<std::string> arguments) { return parsed.error_of(arguments); }

TEST(ChurnOptionsTest, HasDefaults)
{
	const ChurnOptions options = parsed({});
	EXPECT_FALSE(options.vfio);
	EXPECT_EQ((std::vector<Mode>{Mode::strict, Mode::lazy, Mode::region}), options.modes);
	EXPECT_EQ(0u, options.lcores);
	EXPECT_EQ(2u, options.seconds);
	EXPECT_EQ(0u, options.ops);
	EXPECT_EQ(2048u, options.size);
	EXPECT_EQ(256u, options.depth);
	EXPECT_EQ(10'000u, options.bounds.max_age_us);
	EXPECT_EQ(uint64_t(64) << 20, options.bounds.max_bytes);
	EXPECT_TRUE(options.json.empty());
}

TEST(ChurnOptionsTest, TakesAll)
{
	const ChurnOptions options =
		parsed({"--backend=vfio", "--mode", "lazy,strict", "--lcores", "3", "--ops", "9", "--size", "65536",
			"--depth", "1", "--max-age-us", "100", "--max-bytes", "4096", "--json", "j"});
	EXPECT_TRUE(options.vfio);
	EXPECT_EQ((std::vector<Mode>{Mode::lazy, Mode::strict}), options.modes);
	EXPECT_EQ(3u, options.lcores);
	EXPECT_EQ(0u, options.seconds);
	EXPECT_EQ(9u, options.ops);
	EXPECT_EQ(65536u, options.size);
	EXPECT_EQ(1u, options.depth);
	EXPECT_EQ(100u, options.bounds.max_age_us);
	EXPECT_EQ(4096u, options.bounds.max_bytes);
	EXPECT_EQ("j", options.json);
	EXPECT_EQ(7u, parsed({"--seconds", "7"}).seconds);
	EXPECT_TRUE(parsed({"-h"}).help);
}

TEST(ChurnOptionsTest, RefusesMistakes)
{
	EXPECT_EQ("--backend takes 'soft' or 'vfio', not 'hard'", error_of({"--backend", "hard"}));
	EXPECT_EQ("--mode takes 'strict', 'lazy' and 'region', with commas, not 'x'", error_of({"--mode", "lazy,x"}));
	EXPECT_EQ("--mode takes 'strict', 'lazy' and 'region', with commas, not ''", error_of({"--mode", "lazy,"}));
	EXPECT_EQ("--mode names 'lazy' twice", error_of({"--mode", "lazy,lazy"}));
	EXPECT_EQ("--max-age-us takes a number from 100 to 10000000, not '99'", error_of({"--max-age-us", "99"}));
	EXPECT_EQ("--max-bytes takes a number from 4096 to 1073741824, not '1'", error_of({"--max-bytes", "1"}));
	EXPECT_EQ("--depth takes a number from 1 to 65536, not '0'", error_of({"--depth", "0"}));
	EXPECT_EQ("--seconds and --ops: one of them says when to end", error_of({"--seconds", "2", "--ops", "2"}));
	EXPECT_EQ("--size needs a value", error_of({"--size"}));
	for (const char *word : {"stray", "--frob"})
		EXPECT_EQ(std::string("churn does not know '") + word + "'; see 'iovad-perf -- churn --help'",
			  error_of({word}));
}

}  // namespace
}  // namespace iovad::perf
