// SPDX-License-Identifier: BSD-3-Clause
// One line of ftrace text:
//
//   TASK-PID [(TGID)] [CPU] [FLAGS] TIME: EVENT: PAYLOAD
//
// TASK may hold anything, blanks, brackets, dashes and colons included, but the kernel pads it to
// 16 columns, so that the dash before PID is in column 16: that column is tried first, and only then
// any dash from the left, for text that other tools have written without padding.
#pragma once

#include <string_view>

#include "trace/trace.h"

namespace iovad::perf {

enum class LineKind { event, skipped, lost, bad };

struct ParsedLine {
	LineKind kind = LineKind::skipped;
	TraceEvent event;           // where kind is event; its line is left to the caller
	const char *why = nullptr;  // where kind is bad
};

// line: without its newline.
ParsedLine parse_line(std::string_view line) noexcept;

}  // namespace iovad::perf
