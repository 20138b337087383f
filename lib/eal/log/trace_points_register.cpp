// SPDX-License-Identifier: BSD-3-Clause
// DPDK's header changes what a trace point compiles to: here, to a list of its fields.
#define ALLOW_EXPERIMENTAL_API
// The headers are for C with GNU's words.
#define typeof __typeof__
#pragma GCC diagnostic ignored "-Wold-style-cast"
#include <rte_trace_point_register.h>

#include "eal/log/trace_point_list.h"

namespace iovad::eal::trace::point {

RTE_TRACE_POINT_REGISTER(iovad_domain_create, iovad.domain.create)
RTE_TRACE_POINT_REGISTER(iovad_domain_destroy, iovad.domain.destroy)
RTE_TRACE_POINT_REGISTER(iovad_map, iovad.map)
RTE_TRACE_POINT_REGISTER(iovad_unmap, iovad.unmap)
RTE_TRACE_POINT_REGISTER(iovad_region_add, iovad.region_add)
RTE_TRACE_POINT_REGISTER(iovad_region_remove, iovad.region_remove)
RTE_TRACE_POINT_REGISTER(iovad_control_pass, iovad.control.pass)
RTE_TRACE_POINT_REGISTER(iovad_retire, iovad.retire)
RTE_TRACE_POINT_REGISTER(iovad_quarantine, iovad.quarantine)
RTE_TRACE_POINT_REGISTER(iovad_reclaim, iovad.reclaim)

}  // namespace iovad::eal::trace::point
