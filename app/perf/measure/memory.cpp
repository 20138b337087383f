// SPDX-License-Identifier: BSD-3-Clause
#include "measure/memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "errors.h"
#include "text.h"

namespace iovad::perf {

Memory::Memory(uint64_t bytes, Fill fill)
	: bytes_(bytes), begin_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS |
					     (fill == Fill::present ? MAP_POPULATE : MAP_NORESERVE),
				     -1, 0))
{
	if (begin_ == MAP_FAILED)
		throw UsageError(format("no %s of memory to map for devices: %s",
					human_bytes(double(bytes)).c_str(), strerror(errno)));
}

Memory::~Memory()
{
	munmap(begin_, bytes_);
}

}  // namespace iovad::perf
