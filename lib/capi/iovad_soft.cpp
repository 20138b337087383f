// SPDX-License-Identifier: BSD-3-Clause
#include "iovad/iovad_soft.h"

#include "dma/soft/soft_iommu.h"
#include "eal/domain/handle.h"

using iovad::dma::SoftIommu;

namespace {

SoftIommu *soft_of(iovad_domain *d)
{
	return d && d->mapper ? dynamic_cast<SoftIommu *>(&d->mapper->backend()) : nullptr;
}

}  // namespace

int iovad_soft_fail_every(struct iovad_domain *d, uint64_t n)
{
	if (!d)
		return -EINVAL;
	SoftIommu *const soft = soft_of(d);
	if (!soft)
		return -ENOTSUP;
	soft->fail_every(n);
	return 0;
}

uint64_t iovad_soft_failures(struct iovad_domain *d)
{
	const SoftIommu *const soft = soft_of(d);
	return soft ? soft->injected() : 0;
}
