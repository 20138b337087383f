// SPDX-License-Identifier: BSD-3-Clause
// The C API of devices.
#include "iovad/iovad_device.h"

#include <cerrno>

#include <rte_errno.h>

#include "eal/domain/device.h"

namespace {

using iovad::dma::Access;
using iovad::dma::FaultReason;

constexpr bool same(FaultReason reason, iovad_fault fault) { return static_cast<int>(reason) == static_cast<int>(fault); }
static_assert(same(FaultReason::none, IOVAD_FAULT_NONE) && same(FaultReason::not_present, IOVAD_FAULT_NOT_MAPPED) &&
	      same(FaultReason::no_read, IOVAD_FAULT_NO_READ) && same(FaultReason::no_write, IOVAD_FAULT_NO_WRITE) &&
	      same(FaultReason::beyond_aperture, IOVAD_FAULT_BEYOND) && same(FaultReason::crosses, IOVAD_FAULT_CROSSES) &&
	      same(FaultReason::split, IOVAD_FAULT_SPLIT));
static_assert(static_cast<uint64_t>(Access::read) == IOVAD_TO_DEVICE && static_cast<uint64_t>(Access::write) == IOVAD_FROM_DEVICE);

}  // namespace

struct iovad_device *iovad_device_create(struct iovad_domain *d)
{
	if (d)
		return iovad::eal::create_device(*d);
	rte_errno = EINVAL;
	return nullptr;
}

void iovad_device_destroy(struct iovad_device *device) { delete device; }

void iovad_device_begin(struct iovad_device *device) { device->burst.emplace(device->requester); }

void iovad_device_end(struct iovad_device *device) { device->burst.reset(); }

void *iovad_device_reach(struct iovad_device *device, rte_iova_t iova, uint64_t len, uint32_t dir, enum iovad_fault *why)
{
	const iovad::dma::Translation t = device->iommu.translate(iova, len, static_cast<Access>(dir & IOVAD_BIDIRECTIONAL));
	if (why)
		*why = static_cast<iovad_fault>(t.reason);
	return t.va;
}
