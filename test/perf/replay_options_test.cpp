// SPDX-License-Identifier: BSD-3-Clause
#include "replay/replay_options.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "errors.h"
#include "output_file.h"
#include "parsed.h"
#include "temp_file.h"

namespace iovad::perf {
namespace {

using test::content_of;
using test::TempFile;

constexpr test::Parser<ReplayOptions> parsed = {"replay", parse_replay_options};

std::string error_of(std::initializer_list<std::string> arguments) { return parsed.error_of(arguments); }

TEST(ReplayOptionsTest, HasDefaults)
{
	const ReplayOptions options = parsed({"trace"});
	EXPECT_EQ("trace", options.file);
	EXPECT_EQ(Engine::cached, options.engine);
	EXPECT_FALSE(options.pace);
	EXPECT_EQ(0u, options.lcores);
	EXPECT_EQ(1u, options.repeat);
	EXPECT_TRUE(options.json.empty() && options.svg.empty());
	EXPECT_FALSE(options.help);
}

TEST(ReplayOptionsTest, TakesAllInAnyOrder)
{
	const ReplayOptions options = parsed({"--engine=tree", "--lcores", "3", "trace", "--json", "j",
					      "--svg", "s", "--pace", "--repeat", "7"});
	EXPECT_EQ("trace", options.file);
	EXPECT_EQ(Engine::tree, options.engine);
	EXPECT_TRUE(options.pace);
	EXPECT_EQ(3u, options.lcores);
	EXPECT_EQ(7u, options.repeat);
	EXPECT_EQ("j", options.json);
	EXPECT_EQ("s", options.svg);
}

TEST(ReplayOptionsTest, KnowsItsEngines)
{
	for (const Engine engine : {Engine::cached, Engine::tree, Engine::strict, Engine::lazy})
		EXPECT_EQ(engine, parsed({"a", "--engine", name_of(engine)}).engine);
	EXPECT_FALSE(maps_memory(Engine::cached) || maps_memory(Engine::tree));
	EXPECT_TRUE(maps_memory(Engine::strict) && maps_memory(Engine::lazy));
}

TEST(ReplayOptionsTest, HelpNeedsNoTrace)
{
	EXPECT_TRUE(parsed({"--help"}).help);
	EXPECT_TRUE(parsed({"-h"}).help);
}

TEST(ReplayOptionsTest, RefusesMistakes)
{
	EXPECT_EQ("replay needs the name of a trace; see 'iovad-perf -- replay --help'", error_of({}));
	EXPECT_EQ("replay takes one trace; 'b' is one too many", error_of({"a", "b"}));
	EXPECT_EQ("replay does not know '--frob'; see 'iovad-perf -- replay --help'",
		  error_of({"a", "--frob"}));
	EXPECT_EQ("--json needs a value", error_of({"a", "--json"}));
	EXPECT_EQ("--engine takes 'cached', 'tree', 'strict' or 'lazy', not 'slow'",
		  error_of({"a", "--engine", "slow"}));
	for (const char *number : {"0", "-1", "x", "2x", "", " 2", "99999999999", "1025"})
		EXPECT_EQ(std::string("--lcores takes a number from 1 to 1024, not '") + number + "'",
			  error_of({"a", "--lcores", number}));
	EXPECT_EQ("--repeat takes a number from 1 to 100000, not '0'",
		  error_of({"a", "--repeat", "0"}));
	EXPECT_EQ("x: --json and --svg name the same file",
		  error_of({"a", "--json", "x", "--svg", "x"}));
}

TEST(ReplayOptionsTest, WillNotOverwriteTheTrace)
{
	const TempFile trace("content");
	EXPECT_EQ(trace.path() + ": would overwrite the trace",
		  error_of({trace.path(), "--svg", trace.path()}));
}

TEST(OutputFileTest, ReplacesTheContentOnlyWhenFinished)
{
	const TempFile file("what was there before, long");
	{
		OutputFile given_up(file.path());
	}
	EXPECT_EQ("what was there before, long", content_of(file.path()));
	OutputFile(file.path()).finish([](FILE *out) { fputs("new", out); });
	EXPECT_EQ("new", content_of(file.path()));
}

TEST(OutputFileTest, GivenUpLeavesNoNewFile)
{
	const TempFile name("");
	unlink(name.path().c_str());
	{
		OutputFile given_up(name.path());
		struct stat info;
		EXPECT_EQ(0, stat(name.path().c_str(), &info));
	}
	struct stat info;
	EXPECT_NE(0, stat(name.path().c_str(), &info));
	OutputFile(name.path()).finish([](FILE *out) { fputs("x", out); });
	EXPECT_EQ("x", content_of(name.path()));
}

TEST(OutputFileTest, SaysWhatCannotBeWritten)
{
	try {
		OutputFile("/nonexistent/out.json");
		FAIL();
	} catch (const UsageError &error) {
		EXPECT_STREQ("/nonexistent/out.json: cannot write: No such file or directory",
			     error.what());
	}
	try {
		OutputFile("/dev/full").finish([](FILE *out) { fputs("x", out); });
		FAIL();
	} catch (const UsageError &error) {
		EXPECT_STREQ("/dev/full: cannot write: No space left on device", error.what());
	}
}

}  // namespace
}  // namespace iovad::perf
