// SPDX-License-Identifier: BSD-3-Clause
#include "trace/trace_line.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace iovad::perf {
namespace {

constexpr size_t kPidDashColumn = 16;

bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

// Takes tokens off the front of a line. A take that fails takes nothing.
class Cursor {
public:
	explicit Cursor(std::string_view text) : rest_(text) {}

	std::string_view rest() const { return rest_; }
	bool at_end() const { return rest_.empty(); }

	bool take(std::string_view token)
	{
		if (!rest_.starts_with(token))
			return false;
		rest_.remove_prefix(token.size());
		return true;
	}

	bool take_number(uint64_t &value, int base = 10)
	{
		const char *end = rest_.data() + rest_.size();
		const auto [after, error] = std::from_chars(rest_.data(), end, value, base);
		if (error != std::errc())
			return false;
		rest_.remove_prefix(static_cast<size_t>(after - rest_.data()));
		return true;
	}

	bool take_blanks()
	{
		const size_t blanks = std::min(rest_.find_first_not_of(' '), rest_.size());
		rest_.remove_prefix(blanks);
		return blanks != 0;
	}

	bool skip_past(char c)
	{
		const size_t found = rest_.find(c);
		if (found == std::string_view::npos)
			return false;
		rest_.remove_prefix(found + 1);
		return true;
	}

	std::string_view take_word()
	{
		const std::string_view word = rest_.substr(0, rest_.find(' '));
		rest_.remove_prefix(word.size());
		return word;
	}

private:
	std::string_view rest_;
};

struct Prefix {
	uint64_t cpu = 0;
	uint64_t time_ns = 0;
	std::string_view event;  // name, colon, payload
};

// "12.967568:" in seconds, or "12967568:" where the trace clock counts something else.
bool parse_time(std::string_view word, uint64_t &time_ns)
{
	Cursor at(word);
	uint64_t whole = 0;
	if (!at.take_number(whole))
		return false;
	if (at.take(":") && at.at_end()) {
		time_ns = whole;
		return true;
	}
	uint64_t fraction = 0;
	if (!at.take("."))
		return false;
	const size_t places = at.rest().size() - 1;  // wraps for "12.", which take_number refuses
	if (!at.take_number(fraction) || !at.take(":") || !at.at_end())
		return false;
	if (places > 9 || whole > std::numeric_limits<uint64_t>::max() / 1'000'000'000 - 1)
		return false;
	for (size_t i = places; i < 9; i++)
		fraction *= 10;
	time_ns = whole * 1'000'000'000 + fraction;
	return true;
}

bool parse_prefix_at(std::string_view line, size_t dash, Prefix &out)
{
	Cursor at(line.substr(dash));
	uint64_t pid = 0;
	if (!at.take("-") || !at.take_number(pid) || !at.take_blanks())
		return false;
	if (at.take("(")) {  // the thread group, with option record-tgid
		if (!at.skip_past(')') || !at.take_blanks())
			return false;
	}
	if (!at.take("[") || !at.take_number(out.cpu) || !at.take("]") || !at.take_blanks())
		return false;
	if (!parse_time(at.take_word(), out.time_ns)) {  // those were the flags
		if (!at.take_blanks() || !parse_time(at.take_word(), out.time_ns))
			return false;
	}
	if (!at.take(" "))
		return false;
	out.event = at.rest();
	return !out.event.empty() && out.event.front() != ':' && out.event.front() != ' ';
}

bool parse_prefix(std::string_view line, Prefix &out)
{
	if (line.size() > kPidDashColumn && parse_prefix_at(line, kPidDashColumn, out))
		return true;
	for (size_t dash = line.find('-'); dash != std::string_view::npos;
	     dash = line.find('-', dash + 1)) {
		if (dash + 1 < line.size() && is_digit(line[dash + 1]) &&
		    parse_prefix_at(line, dash, out))
			return true;
	}
	return false;
}

// "iova=0xA - 0xB paddr=0xP size=N" of a map, "iova=0xA - 0xB size=N unmapped_size=M" of an unmap;
// older kernels leave " - 0xB" out.
const char *parse_payload(std::string_view payload, TraceEvent &event)
{
	Cursor at(payload);
	uint64_t end = 0, ignored = 0;
	if (!at.take(" IOMMU: iova=0x") || !at.take_number(event.iova, 16))
		return "no 'IOMMU: iova=0x...' in an iommu event";
	const bool has_end = at.take(" - 0x");
	if (has_end && !at.take_number(end, 16))
		return "the end of the range is not a hexadecimal number";
	if (event.kind == EventKind::map && !(at.take(" paddr=0x") && at.take_number(ignored, 16)))
		return "no 'paddr=0x...' in a map event";
	if (!at.take(" size=") || !at.take_number(event.size))
		return "no 'size=...' in an iommu event";
	if (event.kind == EventKind::unmap && !(at.take(" unmapped_size=") && at.take_number(ignored)))
		return "no 'unmapped_size=...' in an unmap event";
	if (!at.at_end())
		return "text after the end of an iommu event";
	if (event.size == 0)
		return "size is 0";
	if (event.size > std::numeric_limits<uint64_t>::max() - event.iova)
		return "iova + size overflows";
	if (has_end && end != event.iova + event.size)
		return "the range and its size disagree";
	return nullptr;
}

ParsedLine bad(const char *why)
{
	return {LineKind::bad, {}, why};
}

bool carries_iommu_event(std::string_view line)
{
	return line.find(": map: IOMMU") != std::string_view::npos ||
	       line.find(": unmap: IOMMU") != std::string_view::npos;
}

// Lines that trace files hold beside events. A stack trace follows its event as " => function".
bool is_filler(std::string_view line)
{
	const size_t first = line.find_first_not_of(" \t");
	return first == std::string_view::npos || line.front() == '#' ||
	       line.substr(first).starts_with("=> ");
}

}  // namespace

ParsedLine parse_line(std::string_view line) noexcept
{
	if (is_filler(line))
		return {};
	if (line.starts_with("CPU:") && line.find(" [LOST ") != std::string_view::npos)
		return {LineKind::lost, {}, nullptr};

	Prefix prefix;
	if (!parse_prefix(line, prefix))
		return bad("not a line of ftrace text (TASK-PID [CPU] FLAGS TIME: EVENT)");
	ParsedLine parsed;
	Cursor at(prefix.event);
	if (at.take("unmap:"))
		parsed.event.kind = EventKind::unmap;
	else if (!at.take("map:"))
		// Two lines run into one would otherwise pass as some other event.
		return carries_iommu_event(line) ? bad("an iommu event inside another event's line")
						 : parsed;

	if (prefix.cpu > std::numeric_limits<uint16_t>::max())
		return bad("the cpu number is too large");
	parsed.kind = LineKind::event;
	parsed.event.cpu = static_cast<uint16_t>(prefix.cpu);
	parsed.event.time_ns = prefix.time_ns;
	if (const char *why = parse_payload(at.rest(), parsed.event))
		return bad(why);
	return parsed;
}

}  // namespace iovad::perf
