// SPDX-License-Identifier: BSD-3-Clause
// Cuts a file into chunks of whole lines, as it is read.
#pragma once

#include <memory>
#include <string>

#include "trace/byte_source.h"

namespace iovad::perf {

// No line of ftrace text comes near it; a file without newlines is found here before it fills memory.
constexpr size_t kMaxLineBytes = 64 * 1024;

struct TraceChunk {
	std::string text;   // whole lines, each with its newline
	std::string error;  // what ended the reading right after text; empty at the end of the file
	bool last = false;
};

class TraceReader {
public:
	TraceReader(const std::string &path, size_t chunk_bytes);

	// About chunk_bytes of lines. Errors are handed on as part of the chunk: only after all lines
	// before it have been parsed is it known in which line an error is, and whether it is the
	// first.
	TraceChunk next();

	uint64_t consumed() const { return source_->consumed(); }

private:
	std::unique_ptr<ByteSource> source_;
	size_t chunk_bytes_;
	std::string carry_;  // the start of a line whose end has not been read
};

}  // namespace iovad::perf
