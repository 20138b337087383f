// SPDX-License-Identifier: BSD-3-Clause
// The bytes of a file, decompressed where it is .xz. Which one it is, its first bytes say, not its
// name: a pipe has none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace iovad::perf {

class ByteSource {
public:
	virtual ~ByteSource() = default;
	// Up to size bytes; 0 at the end. Throws UsageError without the name of the file.
	virtual size_t read(char *out, size_t size) = 0;
	virtual uint64_t consumed() const = 0;  // bytes of the file itself, for progress
};

// Throws UsageError, with the name, where the file cannot be opened.
std::unique_ptr<ByteSource> open_bytes(const std::string &path);

// Bytes in the file, 0 where that is unknown (a pipe).
uint64_t file_bytes(const std::string &path);

}  // namespace iovad::perf
