// SPDX-License-Identifier: BSD-3-Clause
#include "loop/dma.h"

#include <rte_errno.h>

namespace iovad::loop {

namespace {

Misuse misuse_of(iovad_fault why)
{
	switch (why) {
	case IOVAD_FAULT_NO_READ:
	case IOVAD_FAULT_NO_WRITE:
		return Misuse::direction;
	case IOVAD_FAULT_CROSSES:
	case IOVAD_FAULT_SPLIT:
		return Misuse::crosses_end;
	default:
		return Misuse::not_mapped;
	}
}

}  // namespace

int Dma::open(iovad_domain *domain)
{
	domain_ = domain;
	device_ = iovad_device_create(domain);
	return device_ ? 0 : -rte_errno;
}

void Dma::close()
{
	iovad_device_destroy(device_);
	device_ = nullptr;
}

[[gnu::noinline, gnu::cold]] void Dma::refuse(rte_iova_t iova, uint32_t len, const rte_mbuf *mbuf, iovad_fault why)
{
	Misuse misuse = misuse_of(why);
	// What the IOMMU let pass and the records did not is of two mappings, or of none any more, since
	// it is being unmapped. And what leaves the address space may begin in a mapping.
	if ((why == IOVAD_FAULT_NONE || why == IOVAD_FAULT_BEYOND) && iovad_iova2va(domain_, iova, 1))
		misuse = Misuse::crosses_end;
	counts_[static_cast<unsigned>(misuse)].add();
	reports_.write({queue_, dir_, iova, len, mbuf, misuse});
}

}  // namespace iovad::loop
