// SPDX-License-Identifier: BSD-3-Clause
#include "record/line_queue.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "trace/trace_line.h"

namespace iovad::perf {
namespace {

// "CPU:1 [LOST 27 EVENTS]"; without a number where the kernel could not count.
uint64_t lost_events(std::string_view line)
{
	constexpr std::string_view kMark = " [LOST ";
	const std::string_view number = line.substr(line.find(kMark) + kMark.size());
	uint64_t lost = 0;
	std::from_chars(number.data(), number.data() + number.size(), lost);
	return std::max<uint64_t>(lost, 1);
}

// As a comment may show it: not all of a long one, no control characters.
std::string printable(std::string_view line)
{
	constexpr size_t kShown = 200;
	std::string out(line.substr(0, kShown));
	std::replace_if(
		out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
	return out;
}

}  // namespace

void LineQueue::feed(std::string_view bytes, std::string &out)
{
	for (size_t end; (end = bytes.find('\n')) != std::string_view::npos;
	     bytes.remove_prefix(end + 1)) {
		if (partial_.empty()) {
			add_line(bytes.substr(0, end));
		} else {
			partial_.append(bytes.substr(0, end));
			add_line(partial_);
			partial_.clear();
		}
	}
	partial_.append(bytes);
	while (!held_.empty() && newest_ns_ - held_.front().time_ns >= kWindowNs) {
		out += held_.front().text;
		held_.pop_front();
	}
}

void LineQueue::finish(std::string &out)
{
	if (!partial_.empty())
		add_line(std::exchange(partial_, {}));
	for (const Item &item : held_)
		out += item.text;
	held_.clear();
	out += std::exchange(comments_, {});
}

void LineQueue::add_line(std::string_view line)
{
	const ParsedLine parsed = parse_line(line);
	switch (parsed.kind) {
	case LineKind::event:
		add_event(line, parsed.event.time_ns);
		return;
	case LineKind::lost:
		lost_ += lost_events(line);
		break;
	case LineKind::bad:
		add_unreadable(line);
		return;
	case LineKind::skipped:
		break;
	}
	comments_.append(line).push_back('\n');
}

void LineQueue::add_event(std::string_view line, uint64_t time_ns)
{
	Item item{time_ns, std::exchange(comments_, {})};
	item.text.reserve(item.text.size() + line.size() + 1);
	item.text.append(line).push_back('\n');
	auto place = held_.end();
	while (place != held_.begin() && std::prev(place)->time_ns > time_ns)
		--place;
	held_.insert(place, std::move(item));
	newest_ns_ = std::max(newest_ns_, time_ns);
	events_++;
}

void LineQueue::add_unreadable(std::string_view line)
{
	const std::string shown = printable(line);
	if (unreadable_++ == 0)
		first_unreadable_ = shown;
	comments_ += "# not readable: " + shown + '\n';
}

}  // namespace iovad::perf
