// SPDX-License-Identifier: BSD-3-Clause
// Calls that debug mode is to name.
#pragma once

#include "iovad/iovad_bounce.h"
#include "iovad/iovad_dma.h"

// By names that dladdr(3) finds.
extern "C" {
int test_takes(iovad_domain *d, uint64_t len, rte_iova_t *iova);
int test_gives_back(iovad_domain *d, rte_iova_t iova, uint64_t len);
int test_maps(iovad_domain *d, void *va, uint64_t len, rte_iova_t *iova);
int test_unmaps(iovad_domain *d, rte_iova_t iova, uint64_t len);
int test_unmaps_again(iovad_domain *d, rte_iova_t iova, uint64_t len);
int test_bounces(iovad_bounce_pool *p, void *va, uint64_t len, uint32_t dir, rte_iova_t *iova);
}
