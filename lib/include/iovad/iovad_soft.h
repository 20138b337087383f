/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the iovad authors
 */

/**
 * @file
 * See @ref iovad_soft.
 *
 * @defgroup iovad_soft A software IOMMU that fails
 * iovad: a software IOMMU (IOVAD_BACKEND_SOFT) that fails, for who wants to see how a program bears it. In the
 * process that created the domain.
 *
 * @{
 */
#ifndef IOVAD_SOFT_H
#define IOVAD_SOFT_H

#include <iovad/iovad_dma.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Let every nth call that maps or unmaps in the software IOMMU fail before it does anything, as EIO. Any thread.
 * @param d domain.
 * @param n 0: none fails any more.
 * @return 0; -EINVAL d is NULL; -ENOTSUP it has no software IOMMU, or belongs to another process.
 */
IOVAD_API int iovad_soft_fail_every(struct iovad_domain *d, uint64_t n);

/**
 * Count what iovad_soft_fail_every() made fail. Any thread.
 * @param d domain.
 * @return how many calls failed for that; 0 also where there is no software IOMMU.
 */
IOVAD_API uint64_t iovad_soft_failures(struct iovad_domain *d);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* IOVAD_SOFT_H */
