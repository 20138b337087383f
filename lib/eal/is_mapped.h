// SPDX-License-Identifier: BSD-3-Clause
// rte_eal_cleanup() unmaps EAL's memory and tells nobody. A program that forgot to stop its control
// lcore, or its domains, before that shall get to its end.
#pragma once

#include <cstdint>

#include <sys/mman.h>
#include <unistd.h>

namespace iovad::eal {

// Whether there is memory. A system call.
inline bool is_mapped(const void *memory)
{
	static const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
	const uint64_t address = reinterpret_cast<uint64_t>(memory) & ~(page - 1);
	return msync(reinterpret_cast<void *>(address), page, MS_ASYNC) == 0;
}

}  // namespace iovad::eal
