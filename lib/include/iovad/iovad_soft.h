/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the iovad authors
 */

/**
 * @file
 * See @ref iovad_soft.
 *
 * @defgroup iovad_soft A software IOMMU that fails
 * iovad: a software IOMMU (IOVAD_BACKEND_SOFT) that fails, to test how a program copes with that.
 *
 * A map that fails returns -EIO, and nothing is mapped. An unmap that fails does as with
 * hardware: iovad_unmap_strict() returns -EIO, while a lazy unmap fails later, unseen by the caller. In
 * both cases the range stays in quarantine, and is tried again until it is gone (quarantined_ranges and backend_errors of
 * iovad_domain_stats).
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
 * Let every nth call that maps or unmaps in the software IOMMU fail with EIO, before it does anything. The calls of all
 * threads are counted together, while n is not 0; an unmap of many ranges at once counts once, and so does each further
 * attempt. Takes effect at once.
 * Any thread of the process that created the domain.
 * @param d the domain.
 * @param n 1: all fail; 0: none fails, as at the beginning.
 * @return 0; -EINVAL d is NULL; -ENOTSUP it has no software IOMMU, or belongs to another process.
 */
IOVAD_API int iovad_soft_fail_every(struct iovad_domain *d, uint64_t n);

/**
 * Count what iovad_soft_fail_every() made fail. Any thread.
 * @param d may be NULL.
 * @return how many calls failed because of that, since the domain was created; 0 also where iovad_soft_fail_every() is refused.
 */
IOVAD_API uint64_t iovad_soft_failures(struct iovad_domain *d);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* IOVAD_SOFT_H */
