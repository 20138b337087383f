// SPDX-License-Identifier: BSD-3-Clause
#include "trace/trace_parser.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>

#include "errors.h"
#include "temp_file.h"

namespace iovad::perf {
namespace {

using test::content_of;
using test::packed;
using test::TempFile;
using test::trace_path;
using test::unpacked;

constexpr const char *kIperf = "e1000e-iperf3-strict.ftrace.xz";
constexpr const char *kFio = "nvme-fio-strict.ftrace.xz";

Trace read(const std::string &path, size_t chunk_bytes = kTraceChunkBytes)
{
	Progress silent(Progress::Mode::silent);
	return read_trace(path, silent, chunk_bytes);
}

std::string error_of(const std::string &path, size_t chunk_bytes = kTraceChunkBytes)
{
	try {
		read(path, chunk_bytes);
	} catch (const UsageError &error) {
		return error.what();
	}
	return "no error";
}

// A file of good lines, each of its own address, so that none can be taken for another.
std::string good_lines(unsigned count)
{
	std::ostringstream out;
	for (unsigned i = 0; i < count; i++) {
		const unsigned long begin = 0x1000ul * (i + 1);
		out << "    fio-1     [00" << i % 4 << "] d.... " << i << ".000001: map: IOMMU: iova=0x"
		    << std::hex << begin << " - 0x" << begin + 0x1000 << std::dec
		    << " paddr=0x0 size=4096\n";
	}
	return out.str();
}

size_t start_of_line(const std::string &text, unsigned line)
{
	size_t at = 0;
	for (unsigned i = 1; i < line; i++)
		at = text.find('\n', at) + 1;
	return at;
}

void expect_same(const Trace &a, const Trace &b)
{
	EXPECT_EQ(a.lines, b.lines);
	EXPECT_EQ(a.skipped, b.skipped);
	ASSERT_EQ(a.events.size(), b.events.size());
	for (size_t i = 0; i < a.events.size(); i++) {
		const TraceEvent &x = a.events[i], &y = b.events[i];
		ASSERT_TRUE(x.iova == y.iova && x.size == y.size && x.time_ns == y.time_ns &&
			    x.line == y.line && x.cpu == y.cpu && x.kind == y.kind)
			<< "event " << i;
	}
}

struct Tally {
	uint64_t maps = 0, unmaps = 0, map_bytes = 0, lines = 0;
	std::map<unsigned, uint64_t> per_cpu;

	bool operator==(const Tally &) const = default;
};

// Independent of the parser: line by line, by searching for words.
Tally simple_tally(const std::string &text)
{
	Tally tally;
	std::istringstream lines(text);
	for (std::string line; std::getline(lines, line);) {
		tally.lines++;
		const bool map = line.find(": map: ") != std::string::npos;
		if (!map && line.find(": unmap: ") == std::string::npos)
			continue;
		(map ? tally.maps : tally.unmaps)++;
		tally.per_cpu[static_cast<unsigned>(std::stoul(line.substr(line.find('[') + 1)))]++;
		if (map)
			tally.map_bytes += std::stoul(line.substr(line.rfind('=') + 1));
	}
	return tally;
}

Tally tally_of(const Trace &trace)
{
	Tally tally;
	tally.lines = trace.lines;
	for (const TraceEvent &event : trace.events) {
		const bool map = event.kind == EventKind::map;
		(map ? tally.maps : tally.unmaps)++;
		tally.per_cpu[event.cpu]++;
		if (map)
			tally.map_bytes += event.size;
	}
	return tally;
}

TEST(TraceParserTest, AgreesWithASimpleReaderOnRealTraces)
{
	for (const char *name : {kIperf, kFio}) {
		const Tally simple = simple_tally(unpacked(content_of(trace_path(name))));
		EXPECT_TRUE(simple == tally_of(read(trace_path(name)))) << name;
	}
}

TEST(TraceParserTest, FindsTheKnownNumbersOfEvents)
{
	const Tally iperf = tally_of(read(trace_path(kIperf)));
	EXPECT_EQ(59993u, iperf.maps);
	EXPECT_EQ(60007u, iperf.unmaps);
	const Tally fio = tally_of(read(trace_path(kFio)));
	EXPECT_EQ(80459u, fio.maps);
	EXPECT_EQ(75117u, fio.unmaps);
}

TEST(TraceParserTest, PlainAndXzAreTheSame)
{
	const TempFile plain(unpacked(content_of(trace_path(kIperf))));
	expect_same(read(plain.path()), read(trace_path(kIperf)));
}

TEST(TraceParserTest, TheSizeOfChunksChangesNothing)
{
	const TempFile file(good_lines(3000));
	const Trace whole = read(file.path());
	EXPECT_EQ(3000u, whole.events.back().line);
	for (const size_t chunk : {1, 7, 100, 4096, 65536})
		expect_same(whole, read(file.path(), chunk));
}

TEST(TraceParserTest, ConcatenatedXzIsOneFile)
{
	const TempFile file(packed(good_lines(10)) + packed(good_lines(10)), ".xz");
	EXPECT_EQ(20u, read(file.path()).events.size());
}

TEST(TraceParserTest, KnowsXzByContentNotByName)
{
	const TempFile file(packed(good_lines(10)), ".txt");
	EXPECT_EQ(10u, read(file.path()).events.size());
	const TempFile liar(good_lines(10), ".xz");
	EXPECT_EQ(liar.path() + ":1: the name says xz, the data does not", error_of(liar.path()));
}

TEST(TraceParserTest, NamesTheLineOfAnErrorWhateverTheChunks)
{
	const std::string good = good_lines(2000);
	for (const unsigned line : {1u, 2u, 999u, 1000u, 2000u}) {
		std::string text = good;
		text.replace(text.find("size=4096", start_of_line(text, line)), 9, "size=4095");
		const TempFile file(text);
		const std::string expected = file.path() + ":" + std::to_string(line) +
					     ": the range and its size disagree: '";
		for (const size_t chunk : {64, 1000, 4096, 1 << 20})
			EXPECT_EQ(0u, error_of(file.path(), chunk).find(expected))
				<< error_of(file.path(), chunk);
	}
}

TEST(TraceParserTest, NamesTheFirstOfManyErrors)
{
	std::string text = good_lines(5000);
	for (unsigned line = 1234; line < 5000; line += 3)
		text[text.find('-', start_of_line(text, line))] = '_';
	const TempFile file(text);
	for (const size_t chunk : {200, 5000, 50000})
		EXPECT_EQ(0u, error_of(file.path(), chunk)
				      .find(file.path() + ":1234: not a line of ftrace text"))
			<< error_of(file.path(), chunk);
}

TEST(TraceParserTest, ShowsNoControlCharactersAndNoEndlessLines)
{
	const TempFile file("bad \x1b[31m" + std::string(500, 'x') + "\n");
	const std::string error = error_of(file.path());
	EXPECT_EQ(std::string::npos, error.find('\x1b'));
	EXPECT_LT(error.size(), file.path().size() + 250);
}

TEST(TraceParserTest, RefusesALastLineThatIsCutOff)
{
	std::string text = good_lines(100);
	text.pop_back();
	const TempFile no_newline(text);
	EXPECT_EQ(no_newline.path() + ":100: the last line is cut off (it has no newline)",
		  error_of(no_newline.path()));
	const TempFile cut(text.substr(0, text.size() - 30));
	EXPECT_EQ(cut.path() + ":100: the last line is cut off (it has no newline)",
		  error_of(cut.path(), 64));
}

TEST(TraceParserTest, RefusesARealTraceWhoseXzIsCutOff)
{
	const std::string xz = content_of(trace_path(kIperf));
	const std::string text = unpacked(xz);
	for (const size_t kept : {xz.size() / 2, xz.size() - 1000, xz.size() - 1}) {
		const TempFile file(xz.substr(0, kept), ".xz");
		const std::string error = error_of(file.path());
		const std::string why = ": the xz data is cut off";
		ASSERT_EQ(0u, error.find(file.path() + ":")) << error;
		ASSERT_EQ(error.size() - why.size(), error.find(why)) << error;
		// The line it names: after good ones, and no further than the file goes.
		const unsigned long line = std::stoul(error.substr(file.path().size() + 1));
		EXPECT_GT(line, 1000u);
		EXPECT_LE(line, 120013u);
	}
	const TempFile header(xz.substr(0, 10), ".xz");
	EXPECT_EQ(header.path() + ":1: the xz data is cut off", error_of(header.path()));
}

TEST(TraceParserTest, RefusesCorruptXz)
{
	const std::string xz = content_of(trace_path(kFio));
	// In the middle of a block the decoder may notice at once, or only at the block's check sum,
	// after it has handed out wrong text: an error it is in any case.
	for (const size_t at : {xz.size() / 3, xz.size() / 2, xz.size() - 100}) {
		std::string broken = xz;
		broken[at] = static_cast<char>(~broken[at]);
		const TempFile file(broken, ".xz");
		EXPECT_EQ(0u, error_of(file.path()).find(file.path() + ":")) << error_of(file.path());
	}
	std::string footer = xz;
	footer[xz.size() - 12] = static_cast<char>(~footer[xz.size() - 12]);
	const TempFile file(footer, ".xz");
	EXPECT_EQ(file.path() + ":155589: the xz data is corrupt", error_of(file.path()));
	const TempFile trailing(packed(good_lines(10)) + "garbage behind the stream", ".xz");
	EXPECT_EQ(trailing.path() + ":11: the xz data is corrupt", error_of(trailing.path()));
}

TEST(TraceParserTest, RefusesFilesWithoutEvents)
{
	const TempFile empty("");
	EXPECT_EQ(empty.path() + ": the file is empty", error_of(empty.path()));
	const TempFile empty_xz(packed(""), ".xz");
	EXPECT_EQ(empty_xz.path() + ": the file is empty", error_of(empty_xz.path()));
	const TempFile comments("# tracer: nop\n#\n");
	EXPECT_EQ(comments.path() + ": no iommu:map or iommu:unmap event in 2 lines",
		  error_of(comments.path()));
}

TEST(TraceParserTest, RefusesFilesItCannotRead)
{
	EXPECT_EQ("/nonexistent/trace: cannot open: No such file or directory",
		  error_of("/nonexistent/trace"));
	EXPECT_NE(std::string::npos, error_of(testing::TempDir()).find("cannot read: Is a directory"))
		<< error_of(testing::TempDir());
}

TEST(TraceParserTest, RefusesAFileWithoutNewlines)
{
	const TempFile zeros(std::string(1 << 20, '\0'));
	EXPECT_EQ(zeros.path() + ":1: a line of more than 64 KiB: not ftrace text",
		  error_of(zeros.path(), 4096));
	const TempFile later(good_lines(5) + std::string(1 << 20, 'x') + "\n");
	EXPECT_EQ(0u, error_of(later.path(), 4096).find(later.path() + ":6: "))
		<< error_of(later.path(), 4096);
}

TEST(TraceParserTest, CountsSkippedAndLost)
{
	const TempFile file("# comment\n\nCPU:0 [LOST 5 EVENTS]\n" + good_lines(2) +
			    "a-1 [0] 1.5: other: x\n");
	const Trace trace = read(file.path());
	EXPECT_EQ(6u, trace.lines);
	EXPECT_EQ(3u, trace.skipped);
	EXPECT_EQ(1u, trace.lost);
	ASSERT_EQ(2u, trace.events.size());
	EXPECT_EQ(4u, trace.events[0].line);
	EXPECT_EQ(5u, trace.events[1].line);
}

}  // namespace
}  // namespace iovad::perf
