// SPDX-License-Identifier: BSD-3-Clause
// What `struct iovad_device` is: a requester of a domain's software IOMMU.
#pragma once

#include <optional>

#include "dma/soft/soft_iommu.h"
#include "eal/domain/handle.h"
#include "iovad/iovad_device.h"

struct iovad_device {
	explicit iovad_device(iovad::dma::SoftIommu &through) : iommu(through), requester(through) {}

	iovad::dma::SoftIommu &iommu;
	iovad::dma::Requester requester;
	std::optional<iovad::dma::Requester::Burst> burst;
};

namespace iovad::eal {

// Null with rte_errno.
iovad_device *create_device(iovad_domain &d);
// While there are, its IOMMU must stay.
bool has_devices(iovad_domain &d);

}  // namespace iovad::eal
