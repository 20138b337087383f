/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the iovad authors
 *
 * iovad: the software IOMMU of IOVAD_BACKEND_SOFT, for devices that are software, and for
 * who wants to see how a program bears an IOMMU that fails. In the process that created the domain.
 */
#ifndef IOVAD_SOFT_H
#define IOVAD_SOFT_H

#include <iovad/iovad_dma.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Where a device's access goes, by the translation itself: iovad_iova2va() says what the domain has
 * recorded. Any thread; takes no lock unless the access faults. The answer is good for as long as
 * the caller knows that the range stays mapped.
 * @param dir what the device does, as iovad_map().
 * @return the memory, one piece of len bytes; NULL the access faults, or d is NULL or has no software IOMMU.
 */
IOVAD_API void *iovad_soft_translate(struct iovad_domain *d, rte_iova_t iova, uint64_t len, uint32_t dir);

/**
 * Let every nth call that maps or unmaps in the software IOMMU fail before it does anything, as EIO. Any thread.
 * @param n 0: none fails any more.
 * @return 0; -EINVAL d is NULL; -ENOTSUP it has no software IOMMU, or belongs to another process.
 */
IOVAD_API int iovad_soft_fail_every(struct iovad_domain *d, uint64_t n);

/** @return how many calls failed for that; 0 also where there is no software IOMMU. */
IOVAD_API uint64_t iovad_soft_failures(struct iovad_domain *d);

#ifdef __cplusplus
}
#endif

#endif /* IOVAD_SOFT_H */
