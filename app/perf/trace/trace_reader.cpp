// SPDX-License-Identifier: BSD-3-Clause
#include "trace/trace_reader.h"

#include <utility>

#include "errors.h"

namespace iovad::perf {

TraceReader::TraceReader(const std::string &path, size_t chunk_bytes)
	: source_(open_bytes(path)), chunk_bytes_(chunk_bytes)
{
}

TraceChunk TraceReader::next()
{
	TraceChunk chunk;
	chunk.text = std::exchange(carry_, {});
	size_t filled = chunk.text.size();
	size_t line_end = 0;  // one past the last newline

	while (line_end == 0) {
		chunk.text.resize(filled + chunk_bytes_);
		size_t got = 0;
		try {
			got = source_->read(chunk.text.data() + filled, chunk_bytes_);
		} catch (const UsageError &error) {
			chunk.error = error.what();
		}
		chunk.text.resize(filled + got);
		if (got == 0) {
			chunk.last = true;
			if (chunk.error.empty() && filled != 0)
				chunk.error = "the last line is cut off (it has no newline)";
			chunk.text.clear();
			return chunk;
		}
		const size_t newline = chunk.text.rfind('\n');
		if (newline != std::string::npos && newline >= filled)
			line_end = newline + 1;
		filled += got;
		if (line_end == 0 && filled > kMaxLineBytes) {
			chunk.last = true;
			chunk.error = "a line of more than 64 KiB: not ftrace text";
			chunk.text.clear();
			return chunk;
		}
	}
	carry_.assign(chunk.text, line_end);
	chunk.text.resize(line_end);
	return chunk;
}

}  // namespace iovad::perf
