// SPDX-License-Identifier: BSD-3-Clause
// The trace points, with their fields. After DPDK's header that registers them, which one file
// includes, or the one that emits them, which another does.
#pragma once

#include <cstdint>

#include <rte_trace_point.h>

namespace iovad::eal::trace::point {

RTE_TRACE_POINT(iovad_domain_create, RTE_TRACE_POINT_ARGS(const char *domain, uint64_t first, uint64_t last),
	rte_trace_point_emit_string(domain);
	rte_trace_point_emit_u64(first);
	rte_trace_point_emit_u64(last);
)

RTE_TRACE_POINT(iovad_domain_destroy, RTE_TRACE_POINT_ARGS(const char *domain),
	rte_trace_point_emit_string(domain);
)

RTE_TRACE_POINT(iovad_map,
	RTE_TRACE_POINT_ARGS(const char *domain, const void *va, uint64_t len, uint64_t iova, int error),
	rte_trace_point_emit_string(domain);
	rte_trace_point_emit_ptr(va);
	rte_trace_point_emit_u64(len);
	rte_trace_point_emit_u64(iova);
	rte_trace_point_emit_int(error);
)

RTE_TRACE_POINT(iovad_unmap, RTE_TRACE_POINT_ARGS(const char *domain, uint64_t iova, uint64_t len, int error),
	rte_trace_point_emit_string(domain);
	rte_trace_point_emit_u64(iova);
	rte_trace_point_emit_u64(len);
	rte_trace_point_emit_int(error);
)

RTE_TRACE_POINT(iovad_region_add,
	RTE_TRACE_POINT_ARGS(const char *domain, const void *va, uint64_t len, uint64_t iova, int error),
	rte_trace_point_emit_string(domain);
	rte_trace_point_emit_ptr(va);
	rte_trace_point_emit_u64(len);
	rte_trace_point_emit_u64(iova);
	rte_trace_point_emit_int(error);
)

RTE_TRACE_POINT(iovad_region_remove,
	RTE_TRACE_POINT_ARGS(const char *domain, const void *va, uint64_t len, int error),
	rte_trace_point_emit_string(domain);
	rte_trace_point_emit_ptr(va);
	rte_trace_point_emit_u64(len);
	rte_trace_point_emit_int(error);
)

RTE_TRACE_POINT(iovad_control_pass, RTE_TRACE_POINT_ARGS(uint32_t items, uint64_t ns),
	rte_trace_point_emit_u32(items);
	rte_trace_point_emit_u64(ns);
)

RTE_TRACE_POINT(iovad_retire,
	RTE_TRACE_POINT_ARGS(const char *domain, uint32_t ranges, uint32_t calls, uint64_t bytes),
	rte_trace_point_emit_string(domain);
	rte_trace_point_emit_u32(ranges);
	rte_trace_point_emit_u32(calls);
	rte_trace_point_emit_u64(bytes);
)

RTE_TRACE_POINT(iovad_quarantine,
	RTE_TRACE_POINT_ARGS(const char *domain, uint64_t iova, uint64_t len, uint32_t tries),
	rte_trace_point_emit_string(domain);
	rte_trace_point_emit_u64(iova);
	rte_trace_point_emit_u64(len);
	rte_trace_point_emit_u32(tries);
)

RTE_TRACE_POINT(iovad_reclaim, RTE_TRACE_POINT_ARGS(const char *domain, uint64_t number, int error),
	rte_trace_point_emit_string(domain);
	rte_trace_point_emit_u64(number);
	rte_trace_point_emit_int(error);
)

}  // namespace iovad::eal::trace::point
