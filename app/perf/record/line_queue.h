// SPDX-License-Identifier: BSD-3-Clause
// From the bytes of trace_pipe to lines as a trace file should have them: whole, readable by
// parse_line(), in the order of time.
//
// trace_pipe merges the cpus' buffers by time, but only what is in them when it looks: an event that
// arrives on one cpu between the looks at two comes late. So lines are held back until one is a
// window younger, and sorted meanwhile; lines of the same microsecond keep the order of the kernel,
// which knows more digits than it prints.
//
// A line that is no event (a task's name may hold line breaks) becomes a comment: the file stays
// readable, and shows what there was.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace iovad::perf {

class LineQueue {
public:
	// Much longer than a reader of trace_pipe is kept from its cpu, little to hold in memory.
	static constexpr uint64_t kWindowNs = 100'000'000;

	// Appends to out the lines whose turn has come.
	void feed(std::string_view bytes, std::string &out);
	// Appends all that is left.
	void finish(std::string &out);

	uint64_t events() const { return events_; }
	// By the kernel's marks in the text, each "[LOST n EVENTS]".
	uint64_t lost() const { return lost_; }
	uint64_t unreadable() const { return unreadable_; }
	const std::string &first_unreadable() const { return first_unreadable_; }

private:
	struct Item {
		uint64_t time_ns;
		std::string text;  // whole lines: an event, and before it what came with it
	};

	void add_line(std::string_view line);
	void add_event(std::string_view line, uint64_t time_ns);
	void add_unreadable(std::string_view line);

	std::deque<Item> held_;  // by time
	uint64_t newest_ns_ = 0;
	std::string partial_;   // the beginning of a line
	std::string comments_;  // lines without a time: they stay before the event that follows
	uint64_t events_ = 0, lost_ = 0, unreadable_ = 0;
	std::string first_unreadable_;
};

}  // namespace iovad::perf
