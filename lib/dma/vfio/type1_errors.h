// SPDX-License-Identifier: BSD-3-Clause
// What the errnos of VFIO's type1 driver mean, and what to do about them. One errno has
// several causes, so what is known about the request and the machine comes along.
#pragma once

#include "dma/backend.h"
#include "dma/vfio/kernel_limits.h"

namespace iovad::dma {

// How a request that was refused relates to what the container says of itself.
enum class Placement {
	fits,        // nothing is wrong with it
	misaligned,  // to the smallest page
	outside,     // of the valid ranges, in part at least
	no_iommu,    // no device is attached, so there is no IOMMU
	unknown,     // the container does not say
};

// error: what GET_INFO failed with on a container that knows type1.
Outcome info_failure(int error);

Outcome map_failure(int error, Placement placement, uint64_t len, const KernelLimits &limits);

Outcome unmap_failure(int error, Placement placement);

// The call succeeded, but less or more than len bytes were unmapped.
Outcome unmap_mismatch(uint64_t unmapped, uint64_t len);

}  // namespace iovad::dma
