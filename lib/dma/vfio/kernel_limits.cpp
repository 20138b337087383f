// SPDX-License-Identifier: BSD-3-Clause
#include "dma/vfio/kernel_limits.h"

#include <linux/capability.h>
#include <sys/resource.h>

#include <cinttypes>
#include <cstdio>
#include <memory>

namespace iovad::dma {

namespace {

struct Closer {
	void operator()(std::FILE *f) const { std::fclose(f); }
};
using File = std::unique_ptr<std::FILE, Closer>;

std::optional<uint64_t> read_number(const char *path)
{
	const File file(std::fopen(path, "re"));
	uint64_t value;
	if (!file || std::fscanf(file.get(), "%" SCNu64, &value) != 1)
		return std::nullopt;
	return value;
}

// The kernel asks whether the capability holds in the first user namespace; what a process
// has in another one looks the same in its status, and counts for nothing.
bool in_first_user_namespace()
{
	const File file(std::fopen("/proc/self/uid_map", "re"));
	uint64_t inside, outside, count;
	if (!file || std::fscanf(file.get(), "%" SCNu64 " %" SCNu64 " %" SCNu64, &inside, &outside, &count) != 3)
		return true;  // a kernel without user namespaces has no such file
	return inside == 0 && outside == 0 && count == UINT32_MAX;
}

struct ProcessStatus {
	uint64_t effective = 0, locked_kib = 0;
};

ProcessStatus read_process_status()
{
	ProcessStatus status;
	const File file(std::fopen("/proc/thread-self/status", "re"));
	char line[256];
	while (file && std::fgets(line, sizeof line, file.get())) {
		std::sscanf(line, "CapEff: %" SCNx64, &status.effective);
		std::sscanf(line, "VmLck: %" SCNu64, &status.locked_kib);
	}
	return status;
}

}  // namespace

KernelLimits read_kernel_limits()
{
	KernelLimits limits;
	limits.entry_limit = read_number("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit");

	const ProcessStatus status = read_process_status();
	limits.locked_bytes = status.locked_kib * 1024;
	const bool lifted = (status.effective >> CAP_IPC_LOCK & 1) && in_first_user_namespace();
	rlimit limit;
	if (!lifted && getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		limits.memlock_bytes = limit.rlim_cur;
	return limits;
}

}  // namespace iovad::dma
