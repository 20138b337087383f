// SPDX-License-Identifier: BSD-3-Clause
// Anonymous memory of this process, to be mapped for devices.
#pragma once

#include <cstddef>
#include <cstdint>

namespace iovad::perf {

class Memory {
public:
	// reserved: addresses, with memory behind what is touched. present: all of it is there.
	enum class Fill { reserved, present };

	Memory(uint64_t bytes, Fill fill);  // throws UsageError
	~Memory();
	Memory(const Memory &) = delete;
	Memory &operator=(const Memory &) = delete;

	char *at(uint64_t offset) const { return static_cast<char *>(begin_) + offset; }
	uint64_t size() const { return bytes_; }

private:
	uint64_t bytes_;
	void *begin_;
};

}  // namespace iovad::perf
