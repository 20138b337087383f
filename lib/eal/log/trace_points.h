// SPDX-License-Identifier: BSD-3-Clause
// Events for DPDK's tracing: --trace=iovad.*, or rte_trace_pattern(). Not on the paths that
// are inlined into programs. Where tracing is off each is a call, a load and a branch.
#pragma once

#include <cstdint>

// DPDK's tracing is experimental in the versions that iovad builds with: callers of these see
// nothing of it.
namespace iovad::eal::trace {

// error: 0 or a negative errno.
void domain_create(const char *domain, uint64_t first, uint64_t last);
void domain_destroy(const char *domain);
void map(const char *domain, const void *va, uint64_t len, uint64_t iova, int error);
void unmap(const char *domain, uint64_t iova, uint64_t len, int error);
void region_add(const char *domain, const void *va, uint64_t len, uint64_t iova, int error);
void region_remove(const char *domain, const void *va, uint64_t len, int error);
// A pass of the control lcore.
void control_pass(uint32_t items, uint64_t ns);
// A batch of deferred ranges was unmapped, by so many calls of the backend.
void retire(const char *domain, uint32_t ranges, uint32_t calls, uint64_t bytes);
// A translation does not go away.
void quarantine(const char *domain, uint64_t iova, uint64_t len, uint32_t tries);
// Exhaustion emptied the caches, for the so manyth time, and the request that met it ended so.
void reclaim(const char *domain, uint64_t number, int error);

}  // namespace iovad::eal::trace
