// SPDX-License-Identifier: BSD-3-Clause
// What soak calls beside the rest, for programs on the broken allocator, which runs no soak: see spoilt_calls.cpp.
#include <cstdlib>

#include <iovad/iovad_bounce.h>
#include <iovad/iovad_device.h>
#include <iovad/iovad_soft.h>

int iovad_alloc_range(iovad_domain *, uint64_t, uint64_t, uint64_t, rte_iova_t *) { abort(); }
int iovad_free_range(iovad_domain *, rte_iova_t, uint64_t) { abort(); }
int iovad_reserve(iovad_domain *, rte_iova_t, uint64_t) { abort(); }
int iovad_unreserve(iovad_domain *, rte_iova_t, uint64_t) { abort(); }
iovad_domain *iovad_domain_lookup(const char *) { abort(); }
int iovad_unmap_strict(iovad_domain *, rte_iova_t, uint64_t) { abort(); }
int iovad_bounce_sync_for_cpu(iovad_bounce_pool *, rte_iova_t, uint64_t, uint64_t, uint32_t) { abort(); }
int iovad_bounce_sync_for_device(iovad_bounce_pool *, rte_iova_t, uint64_t, uint64_t, uint32_t) { abort(); }
int iovad_bounce_verify(iovad_bounce_pool *, FILE *) { abort(); }
int iovad_bounce_stats_get(iovad_bounce_pool *, iovad_bounce_stats *) { abort(); }
iovad_device *iovad_device_create(iovad_domain *) { abort(); }
void iovad_device_destroy(iovad_device *) { abort(); }
void iovad_device_begin(iovad_device *) { abort(); }
void iovad_device_end(iovad_device *) { abort(); }
void *iovad_device_reach(iovad_device *, rte_iova_t, uint64_t, uint32_t, iovad_fault *) { abort(); }
int iovad_soft_fail_every(iovad_domain *, uint64_t) { abort(); }
uint64_t iovad_soft_failures(iovad_domain *) { abort(); }
