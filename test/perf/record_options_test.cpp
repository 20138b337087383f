// SPDX-License-Identifier: BSD-3-Clause
#include "record/record_options.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "parsed.h"

namespace iovad::perf {
namespace {

constexpr test::Parser<RecordOptions> parsed = {"record", parse_record_options};

std::string error_of(std::initializer_list<std::string> arguments) { return parsed.error_of(arguments); }

TEST(RecordOptionsTest, HasDefaults)
{
	const RecordOptions options = parsed({"out"});
	EXPECT_EQ("out", options.file);
	EXPECT_EQ(0u, options.seconds);
	EXPECT_EQ(8192u, options.buffer_kib);
	EXPECT_FALSE(options.help);
}

TEST(RecordOptionsTest, TakesAllInAnyOrder)
{
	const RecordOptions options = parsed({"--seconds=7", "out", "--buffer-kb", "64"});
	EXPECT_EQ("out", options.file);
	EXPECT_EQ(7u, options.seconds);
	EXPECT_EQ(64u, options.buffer_kib);
	EXPECT_EQ("-odd", parsed({"--", "-odd"}).file);
}

TEST(RecordOptionsTest, HelpNeedsNoFile)
{
	EXPECT_TRUE(parsed({"--help"}).help);
	EXPECT_TRUE(parsed({"-h"}).help);
}

TEST(RecordOptionsTest, RefusesMistakes)
{
	const std::string no_file =
		"record needs the name of a file to write; see 'iovad-perf record --help'";
	EXPECT_EQ(no_file, error_of({}));
	EXPECT_EQ(no_file, error_of({""}));
	EXPECT_EQ("record writes one file; 'b' is one too many", error_of({"a", "b"}));
	EXPECT_EQ("record does not know '--frob'; see 'iovad-perf record --help'",
		  error_of({"a", "--frob"}));
	EXPECT_EQ("--seconds needs a value", error_of({"a", "--seconds"}));
	for (const char *number : {"0", "-1", "x", "2x", "1.5", "", " 2", "99999999999", "1000001"})
		EXPECT_EQ(std::string("--seconds takes a number from 1 to 1000000, not '") + number + "'",
			  error_of({"a", "--seconds", number}));
	EXPECT_EQ("--buffer-kb takes a number from 1 to 1048576, not '0'",
		  error_of({"a", "--buffer-kb", "0"}));
}

}  // namespace
}  // namespace iovad::perf
