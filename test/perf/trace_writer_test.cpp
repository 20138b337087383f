// SPDX-License-Identifier: BSD-3-Clause
#include "record/trace_writer.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "errors.h"
#include "record/line_queue.h"
#include "temp_file.h"
#include "trace/trace_parser.h"

namespace iovad::perf {
namespace {

using test::content_of;
using test::TempFile;
using test::trace_path;
using test::unpacked;

// A name that is free.
class FreeName : public TempFile {
public:
	explicit FreeName(const char *suffix) : TempFile("", suffix) { unlink(path().c_str()); }
	bool exists() const
	{
		struct stat info;
		return stat(path().c_str(), &info) == 0;
	}
};

// While it lives no file grows beyond so many bytes: like a disk that is full.
class SizeLimit {
public:
	explicit SizeLimit(rlim_t bytes)
	{
		handler_ = signal(SIGXFSZ, SIG_IGN);
		getrlimit(RLIMIT_FSIZE, &before_);
		const rlimit limit = {bytes, before_.rlim_max};
		setrlimit(RLIMIT_FSIZE, &limit);
	}
	~SizeLimit()
	{
		setrlimit(RLIMIT_FSIZE, &before_);
		signal(SIGXFSZ, handler_);
	}
	SizeLimit(const SizeLimit &) = delete;
	SizeLimit &operator=(const SizeLimit &) = delete;

private:
	rlimit before_ = {};
	void (*handler_)(int) = nullptr;
};

std::string error_of(TraceWriter &writer)
{
	try {
		writer.finish();
	} catch (const RunError &error) {
		return error.what();
	}
	return "no error";
}

Trace read(const std::string &path)
{
	Progress silent(Progress::Mode::silent);
	return read_trace(path, silent);
}

bool operator==(const TraceEvent &a, const TraceEvent &b)
{
	return a.iova == b.iova && a.size == b.size && a.time_ns == b.time_ns && a.cpu == b.cpu &&
	       a.kind == b.kind;
}

// As a recording does it, from the text of a real kernel's events.
void record(const std::string &text, const std::string &path, size_t xz_unit_bytes)
{
	LineQueue lines;
	TraceWriter writer(path, xz_unit_bytes);
	uint64_t pushed = 0;
	for (size_t at = 0; at < text.size(); at += 50000) {
		std::string ready;
		lines.feed(std::string_view(text).substr(at, 50000), ready);
		writer.push(ready, lines.events() - pushed);
		pushed = lines.events();
	}
	std::string rest;
	lines.finish(rest);
	writer.push(rest, lines.events() - pushed);
	writer.finish();
	struct stat info;
	ASSERT_EQ(0, stat(path.c_str(), &info));
	EXPECT_EQ(static_cast<uint64_t>(info.st_size), writer.bytes());
}

TEST(TraceWriterTest, WhatIsWrittenIsReadBackTheSame)
{
	for (const char *name : {"e1000e-iperf3-strict.ftrace.xz", "nvme-fio-strict.ftrace.xz"}) {
		const std::string text = unpacked(content_of(trace_path(name)));
		const Trace original = read(trace_path(name));
		for (const char *suffix : {".ftrace", ".ftrace.xz"}) {
			const FreeName file(suffix);
			record(text, file.path(), 1 << 20);
			const Trace copy = read(file.path());
			EXPECT_EQ(original.lines, copy.lines);
			ASSERT_EQ(original.events.size(), copy.events.size());
			for (size_t i = 0; i < copy.events.size(); i++)
				ASSERT_TRUE(original.events[i] == copy.events[i]) << i;
		}
	}
}

TEST(TraceWriterTest, AddressesOf64BitsAreReadBack)
{
	const std::string text =
		"  kworker/u17:3-99      [127] D.h1. 99999.000001: map: IOMMU: iova=0xffffff8000000000 - "
		"0xffffff8040000000 paddr=0x000fffffc0000000 size=1073741824\n"
		"          <idle>-0       [000] ..s1. 99999.000002: unmap: IOMMU: iova=0xffffff8000000000 - "
		"0xffffff8040000000 size=1073741824 unmapped_size=1073741824\n"
		"           a b-c-4194303 [4095] D.h1. 99999.000003: map: IOMMU: iova=0xffffffffffffe000 - "
		"0xfffffffffffff000 paddr=0x0000000000000000 size=4096\n";
	const FreeName file(".xz");
	record(text, file.path(), 1 << 20);
	const Trace trace = read(file.path());
	ASSERT_EQ(3u, trace.events.size());
	EXPECT_EQ(0xffffff8000000000u, trace.events[0].iova);
	EXPECT_EQ(uint64_t(1) << 30, trace.events[1].size);
	EXPECT_EQ(0xffffffffffffe000u, trace.events[2].iova);
	EXPECT_EQ(4095u, trace.events[2].cpu);
}

TEST(TraceWriterTest, ReplacesAFileOnlyWithSomething)
{
	const TempFile old("what was there before, long");
	{
		TraceWriter nothing(old.path());
		nothing.finish();
	}
	EXPECT_EQ("what was there before, long", content_of(old.path()));
	TraceWriter writer(old.path());
	writer.push("new\n", 1);
	writer.finish();
	EXPECT_EQ("new\n", content_of(old.path()));
}

TEST(TraceWriterTest, NothingLeavesNoNewFile)
{
	const FreeName file(".xz");
	{
		TraceWriter writer(file.path());
		EXPECT_TRUE(file.exists());
		writer.finish();
	}
	EXPECT_FALSE(file.exists());
	{
		TraceWriter given_up(file.path());
	}
	EXPECT_FALSE(file.exists());
}

TEST(TraceWriterTest, WritesWhatItHasWhenItIsGivenUp)
{
	const FreeName file(".xz");
	{
		TraceWriter writer(file.path());
		writer.push("one\n", 1);
		writer.push("two\n", 1);
	}
	EXPECT_EQ("one\ntwo\n", unpacked(content_of(file.path())));
}

TEST(TraceWriterTest, SaysWhatCannotBeWritten)
{
	try {
		TraceWriter writer("/nonexistent/out");
		FAIL();
	} catch (const RunError &error) {
		EXPECT_STREQ("/nonexistent/out: cannot write: No such file or directory", error.what());
	}
	try {
		TraceWriter writer(testing::TempDir());
		FAIL();
	} catch (const RunError &error) {
		EXPECT_EQ(testing::TempDir() + ": cannot write: Is a directory", error.what());
	}
	TraceWriter full("/dev/full");
	full.push("x\n", 1);
	EXPECT_EQ("/dev/full: cannot write: No space left on device; nothing was recorded",
		  error_of(full));
}

TEST(TraceWriterTest, AFullDiskKeepsTheLinesThatFit)
{
	const FreeName file(".ftrace");
	const std::string line = "fio-1 [000] 1.000001: map: IOMMU: iova=0x1000 paddr=0x0 size=4096\n";
	std::string lines;
	for (unsigned i = 0; i < 100; i++)
		lines += line;
	const SizeLimit limit(150 * line.size() + 10);
	{
		TraceWriter writer(file.path());
		writer.push(lines, 100);
		writer.push("# a comment\n" + lines, 100);
		EXPECT_EQ(file.path() + ": cannot write: File too large; it ends after 149 events",
			  error_of(writer));
	}
	const Trace trace = read(file.path());
	EXPECT_EQ(149u, trace.events.size());
	EXPECT_EQ(1u, trace.skipped);
}

TEST(TraceWriterTest, AFullDiskKeepsTheXzStreamsThatFit)
{
	const FreeName xz(".ftrace.xz");
	const SizeLimit limit(100000);
	// This does not shrink to fit.
	std::string noise;
	for (uint32_t i = 0, x = 1; i < 120000; i++, x = x * 1664525 + 1013904223)
		noise += static_cast<char>('!' + (x >> 24) % 90);
	noise.back() = '\n';
	{
		TraceWriter writer(xz.path(), 1);
		writer.push("first\n", 1);
		writer.push(noise, 1000);
		EXPECT_EQ(xz.path() + ": cannot write: File too large; it ends after 1 events",
			  error_of(writer));
		EXPECT_TRUE(writer.failed());
	}
	EXPECT_EQ("first\n", unpacked(content_of(xz.path())));
}

TEST(TraceWriterTest, AFullDiskFromTheStartLeavesNoFile)
{
	const FreeName file(".ftrace");
	const SizeLimit limit(10);
	{
		TraceWriter writer(file.path());
		writer.push("more than ten bytes\n", 1);
		EXPECT_EQ(file.path() + ": cannot write: File too large; nothing was recorded",
			  error_of(writer));
	}
	EXPECT_FALSE(file.exists());
}

}  // namespace
}  // namespace iovad::perf
