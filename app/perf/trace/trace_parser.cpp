// SPDX-License-Identifier: BSD-3-Clause
#include "trace/trace_parser.h"

#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_pipeline.h>

#include <atomic>
#include <cctype>
#include <chrono>
#include <limits>
#include <memory>

#include "errors.h"
#include "text.h"
#include "trace/trace_line.h"
#include "trace/trace_reader.h"

namespace iovad::perf {
namespace {

// A chunk on its way: text until it is parsed, then events with lines counted from 1 in the chunk.
struct Portion {
	TraceChunk chunk;
	Trace part;
	std::string bad;  // why line part.lines is bad; nothing after it was parsed
};

// The line as a message may show it: not all of a long one, no control characters.
std::string excerpt(std::string_view line)
{
	constexpr size_t kShown = 120;
	std::string out(line.substr(0, kShown));
	for (char &c : out) {
		if (!isprint(static_cast<unsigned char>(c)))
			c = '?';
	}
	return line.size() > kShown ? out + "..." : out;
}

void parse_portion(Portion &portion)
{
	std::string_view rest = portion.chunk.text;
	Trace &part = portion.part;
	part.events.reserve(rest.size() / 128);
	while (!rest.empty()) {
		const size_t length = rest.find('\n');
		const std::string_view line = rest.substr(0, length);
		rest.remove_prefix(length + 1);
		part.lines++;
		ParsedLine parsed = parse_line(line);
		switch (parsed.kind) {
		case LineKind::event:
			parsed.event.line = static_cast<uint32_t>(part.lines);
			part.events.push_back(parsed.event);
			break;
		case LineKind::lost:
			part.lost++;
			break;
		case LineKind::skipped:
			part.skipped++;
			break;
		case LineKind::bad:
			portion.bad = format("%s: '%s'", parsed.why, excerpt(line).c_str());
			return;
		}
	}
	portion.chunk.text = {};
}

// Puts portions together, in file order, and keeps the first error of the file.
class Assembly {
public:
	explicit Assembly(Trace &trace) : trace_(trace) {}

	void add(Portion &portion)
	{
		Trace &part = portion.part;
		if (trace_.lines + part.lines > std::numeric_limits<uint32_t>::max()) {
			fail(trace_.lines, "more lines than iovad-perf can number (2^32)");
			return;
		}
		for (TraceEvent &event : part.events)
			event.line += static_cast<uint32_t>(trace_.lines);
		trace_.events.insert(trace_.events.end(), part.events.begin(), part.events.end());
		trace_.lines += part.lines;
		trace_.skipped += part.skipped;
		trace_.lost += part.lost;
		if (!portion.bad.empty())
			fail(trace_.lines, portion.bad);
		else if (!portion.chunk.error.empty())
			fail(trace_.lines + 1, portion.chunk.error);
	}

	bool failed() const { return !error_.empty(); }
	const std::string &error() const { return error_; }

private:
	void fail(uint64_t line, const std::string &why)
	{
		error_ = format("%s:%llu: %s", trace_.path.c_str(),
				static_cast<unsigned long long>(line), why.c_str());
	}

	Trace &trace_;
	std::string error_;
};

void show(Progress &progress, const TraceReader &reader, uint64_t file_size)
{
	if (!progress.due())
		return;
	if (file_size == 0)
		progress.update(format("reading  %s", human_bytes(double(reader.consumed())).c_str()));
	else
		progress.update(format("reading  %3.0f %%",
				       100.0 * double(reader.consumed()) / double(file_size)));
}

}  // namespace

Trace read_trace(const std::string &path, Progress &progress, size_t chunk_bytes)
{
	const auto start = std::chrono::steady_clock::now();
	Trace trace;
	trace.path = path;
	TraceReader reader(path, chunk_bytes);
	const uint64_t file_size = file_bytes(path);
	Assembly assembly(trace);
	// Set by the last stage, seen by the first: reading on after an error would be in vain.
	// Relaxed: the pipeline itself orders the stages, and a chunk more does no harm.
	std::atomic<bool> stop = false;
	bool end = false;

	using Token = std::shared_ptr<Portion>;
	using tbb::filter_mode;
	const auto read = [&](tbb::flow_control &flow) {
		if (end || stop.load(std::memory_order_relaxed)) {
			flow.stop();
			return Token();
		}
		auto portion = std::make_shared<Portion>();
		portion->chunk = reader.next();
		end = portion->chunk.last;
		show(progress, reader, file_size);
		return portion;
	};
	const auto parse = [](Token portion) {
		parse_portion(*portion);
		return portion;
	};
	const auto assemble = [&](Token portion) {
		if (assembly.failed())
			return;
		assembly.add(*portion);
		stop.store(assembly.failed(), std::memory_order_relaxed);
	};
	const size_t tokens = 2 * static_cast<size_t>(tbb::info::default_concurrency());
	tbb::parallel_pipeline(tokens,
			       tbb::make_filter<void, Token>(filter_mode::serial_in_order, read) &
				       tbb::make_filter<Token, Token>(filter_mode::parallel, parse) &
				       tbb::make_filter<Token, void>(filter_mode::serial_in_order, assemble));

	if (assembly.failed())
		throw UsageError(assembly.error());
	if (trace.lines == 0)
		throw UsageError(path + ": the file is empty");
	if (trace.events.empty())
		throw UsageError(format("%s: no iommu:map or iommu:unmap event in %llu lines",
					path.c_str(), static_cast<unsigned long long>(trace.lines)));
	const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
	progress.done(format("read %s: %s lines, %s events, %.2f s", base_name(path).c_str(),
			     grouped(trace.lines).c_str(), grouped(trace.events.size()).c_str(),
			     took.count()));
	return trace;
}

}  // namespace iovad::perf
