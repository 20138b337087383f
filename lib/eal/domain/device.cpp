// SPDX-License-Identifier: BSD-3-Clause
#include "eal/domain/device.h"

#include <cerrno>
#include <new>

#include <rte_errno.h>

namespace iovad::eal {

namespace {

// Null: it has another backend, or another process has it.
dma::SoftIommu *iommu_of(iovad_domain &d)
{
	return d.mapper ? dynamic_cast<dma::SoftIommu *>(&d.mapper->backend()) : nullptr;
}

}  // namespace

iovad_device *create_device(iovad_domain &d)
try {
	if (dma::SoftIommu *iommu = iommu_of(d))
		return new iovad_device(*iommu);
	rte_errno = ENOTSUP;
	return nullptr;
} catch (const std::bad_alloc &) {
	rte_errno = ENOMEM;
	return nullptr;
}

bool has_devices(iovad_domain &d)
{
	dma::SoftIommu *iommu = iommu_of(d);
	return iommu && !iommu->requesters().empty();
}

}  // namespace iovad::eal
