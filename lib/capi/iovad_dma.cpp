// SPDX-License-Identifier: BSD-3-Clause
// The C API of mappings: whose process it is, what to log, the errno.
#include "iovad/iovad_dma.h"

#include <cinttypes>
#include <new>

#include "eal/domain/handle.h"
#include "eal/domain/mapping.h"

using iovad::core::Mapping;

namespace {

[[gnu::cold]] void *not_found(iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	if (d && d->checker && iova == RTE_BAD_IOVA)
		d->checker->bad_address("iovad_iova2va()", len);
	return nullptr;
}

}  // namespace

int iovad_map(struct iovad_domain *d, void *va, uint64_t len, uint64_t limit, uint32_t dir, rte_iova_t *iova)
{
	return d && iova ? iovad::eal::map(*d, va, len, limit, dir, *iova) : -EINVAL;
}

int iovad_unmap_other(struct iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	return d ? iovad::eal::unmap(*d, iova, len, d->shared->unmap_policy) : -EINVAL;
}

int iovad_unmap_strict(struct iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	return d ? iovad::eal::unmap(*d, iova, len, IOVAD_UNMAP_STRICT) : -EINVAL;
}

int iovad_unmap_lazy(struct iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	return d ? iovad::eal::unmap(*d, iova, len, IOVAD_UNMAP_LAZY) : -EINVAL;
}

int iovad_region_add(struct iovad_domain *d, void *va, uint64_t len, uint64_t limit, uint32_t dir,
		     rte_iova_t *iova)
{
	return d && iova ? iovad::eal::add_region(*d, va, len, limit, dir, *iova) : -EINVAL;
}

int iovad_region_remove(struct iovad_domain *d, void *va, uint64_t len)
{
	return d && va ? iovad::eal::remove_region(*d, va, len) : -EINVAL;
}

int iovad_domain_refresh(struct iovad_domain *d) { return d ? iovad::eal::refresh_all(*d) : -EINVAL; }

rte_iova_t iovad_va2iova(struct iovad_domain *d, const void *va, uint64_t len)
{
	const auto address = reinterpret_cast<uint64_t>(va);
	Mapping m;
	if (!d || !d->mappings || len == 0 || !d->mappings->find_va(address, len, m))
		return RTE_BAD_IOVA;
	return m.iova + (address - m.va);
}

void *iovad_iova2va(struct iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	Mapping m;
	if (!d || !d->mappings || len == 0 || !d->mappings->find_iova(iova, len, m))
		return not_found(d, iova, len);
	return reinterpret_cast<void *>(m.va + (iova - m.iova));
}
