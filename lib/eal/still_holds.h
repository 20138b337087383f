// SPDX-License-Identifier: BSD-3-Clause
// rte_eal_cleanup() unmaps EAL's memory and tells nobody. A program that forgot to stop its control
// lcore, or to destroy its domains, before that must end without a crash all the same.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

namespace iovad::eal {

// Whether memory is still there and begins as it did: something else may have been mapped in its
// place. bytes: at most 16. A system call, which does not fault.
inline bool still_holds(const void *memory, const void *beginning, size_t bytes)
{
	std::byte now[16];
	const iovec to{now, bytes}, from{const_cast<void *>(memory), bytes};
	const ssize_t got = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
	if (got < 0 && errno != EFAULT) {  // it is not allowed to
		static const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
		const uint64_t address = reinterpret_cast<uint64_t>(memory) & ~(page - 1);
		return msync(reinterpret_cast<void *>(address), page, MS_ASYNC) == 0;
	}
	return got == static_cast<ssize_t>(bytes) && std::memcmp(now, beginning, bytes) == 0;
}

}  // namespace iovad::eal
