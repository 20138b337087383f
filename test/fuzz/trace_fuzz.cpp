// SPDX-License-Identifier: BSD-3-Clause
// Text that is taken for a trace: each line by itself, and all of it on the way of a recording.
// Events come out of both as they went in.
#include <algorithm>
#include <cinttypes>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "fuzz.h"
#include "record/line_queue.h"
#include "text.h"
#include "trace/trace_line.h"

namespace iovad::perf {
namespace {

using Key = std::tuple<uint64_t, uint64_t, uint64_t, uint16_t, EventKind>;

Key key_of(const TraceEvent &e) { return {e.time_ns, e.iova, e.size, e.cpu, e.kind}; }

// As the kernel prints it.
std::string line_of(const TraceEvent &e)
{
	constexpr uint64_t kSecond = 1'000'000'000;
	const uint64_t seconds = e.time_ns / kSecond;
	const std::string time = seconds < std::numeric_limits<uint64_t>::max() / kSecond
					 ? format("%" PRIu64 ".%09" PRIu64, seconds, e.time_ns % kSecond)
					 : format("%" PRIu64, e.time_ns);
	const std::string range = format("          <idle>-0       [%03u] d..1. %s: %s: IOMMU: iova=0x%016" PRIx64 " - 0x%016" PRIx64,
					 unsigned{e.cpu}, time.c_str(), e.kind == EventKind::map ? "map" : "unmap", e.iova,
					 e.iova + e.size);
	return range + (e.kind == EventKind::map ? format(" paddr=0x%016x size=%" PRIu64, 0u, e.size)
						 : format(" size=%" PRIu64 " unmapped_size=%" PRIu64, e.size, e.size));
}

// The events of a text, sorted. readable: it has no bad line.
std::vector<Key> events_of(std::string_view text, bool &readable)
{
	std::vector<Key> out;
	readable = true;
	while (!text.empty()) {
		const std::string_view line = text.substr(0, text.find('\n'));
		text.remove_prefix(std::min(text.size(), line.size() + 1));
		// In memory of its own length, for the address sanitizer.
		const std::vector<char> exact(line.begin(), line.end());
		const ParsedLine parsed = parse_line({exact.data(), exact.size()});
		EXPECT_EQ(parsed.kind == LineKind::bad, parsed.why != nullptr);
		readable &= parsed.kind != LineKind::bad;
		if (parsed.kind == LineKind::event)
			out.push_back(key_of(parsed.event));
	}
	std::sort(out.begin(), out.end());
	return out;
}

void print_and_parse(const Key &key)
{
	TraceEvent e;
	std::tie(e.time_ns, e.iova, e.size, e.cpu, e.kind) = key;
	const std::string line = line_of(e);
	const ParsedLine parsed = parse_line(line);
	EXPECT_EQ(LineKind::event, parsed.kind) << line << ": " << (parsed.why ? parsed.why : "");
	EXPECT_TRUE(key == key_of(parsed.event)) << line;
}

std::string record(std::string_view text, size_t piece, LineQueue &queue)
{
	std::string out;
	for (; !text.empty(); text.remove_prefix(std::min(piece, text.size())))
		queue.feed(text.substr(0, piece), out);
	queue.finish(out);
	return out;
}

}  // namespace
}  // namespace iovad::perf

// The first byte: how much comes from the kernel at once.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	using namespace iovad::perf;
	if (size == 0)
		return 0;
	const std::string_view text = iovad::fuzz::text_of(data + 1, size - 1);
	bool readable;
	const std::vector<Key> events = events_of(text, readable);
	for (const Key &key : events)
		print_and_parse(key);

	LineQueue queue;
	const std::string recorded = record(text, 1 + size_t{data[0]}, queue);
	EXPECT_EQ(events.size(), queue.events());
	EXPECT_EQ(readable, queue.unreadable() == 0);
	EXPECT_TRUE(events == events_of(recorded, readable)) << recorded;
	EXPECT_TRUE(readable) << recorded;
	return 0;
}
