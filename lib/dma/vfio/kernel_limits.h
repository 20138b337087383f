// SPDX-License-Identifier: BSD-3-Clause
// What limits mappings on this machine and in this process: read after a failure, to say
// which limit it was.
#pragma once

#include <cstdint>
#include <optional>

namespace iovad::dma {

struct KernelLimits {
	// Module parameter vfio_iommu_type1.dma_entry_limit; containers keep the value of
	// the moment when their IOMMU type was set.
	std::optional<uint64_t> entry_limit;
	// RLIMIT_MEMLOCK in bytes. None: unlimited, or CAP_IPC_LOCK lifts it.
	std::optional<uint64_t> memlock_bytes;
	uint64_t locked_bytes = 0;  // what counts against it now
};

KernelLimits read_kernel_limits();

}  // namespace iovad::dma
