// SPDX-License-Identifier: BSD-3-Clause
// Whether memory is there at all.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include <sys/mman.h>
#include <unistd.h>

namespace iovad::eal::debug {

// Not whether it is in RAM, nor whether it is what it was: something else may have been mapped in its place.
inline bool is_present(uint64_t va, uint64_t len)
{
	static const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
	unsigned char in_ram[1024];
	const uint64_t end = (va + len + page - 1) & ~(page - 1);
	for (uint64_t at = va & ~(page - 1); at < end;) {
		const uint64_t bytes = std::min(end - at, sizeof in_ram * page);
		if (mincore(reinterpret_cast<void *>(at), bytes, in_ram) != 0 && errno == ENOMEM)
			return false;
		at += bytes;
	}
	return true;
}

}  // namespace iovad::eal::debug
