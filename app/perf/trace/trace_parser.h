// SPDX-License-Identifier: BSD-3-Clause
// Reads a trace: one thread reads and decompresses, all parse, and the results are put together in
// file order, where line numbers become absolute and the first error is the first of the file.
#pragma once

#include <string>

#include "progress.h"
#include "trace/trace.h"

namespace iovad::perf {

constexpr size_t kTraceChunkBytes = 512 * 1024;

// Throws UsageError, with "FILE:LINE: ", for what cannot be read or parsed, and where the file holds
// no event at all.
Trace read_trace(const std::string &path, Progress &progress, size_t chunk_bytes = kTraceChunkBytes);

}  // namespace iovad::perf
