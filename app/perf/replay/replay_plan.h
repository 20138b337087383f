// SPDX-License-Identifier: BSD-3-Clause
// From a trace of page-table changes back to the allocations that caused them.
//
// What the kernel does: one dma_map_* call takes one range of addresses. dma_map_sg then maps each
// stretch of physically contiguous memory by itself, so that one range shows as several map events
// with adjacent addresses, which one unmap event takes back. Therefore:
//
//   whole     An unmap takes the map events that tile its range exactly. Together they are one
//             allocation, made where the first of them stands, freed where the unmap stands.
//             Made of more than one: "multi".
//   part      No set of maps tiles it (VFIO unmaps what it likes; a capture may start in the
//             middle of a list): the bytes it does cover are taken off the maps under them. Each such
//             map is an allocation of its own, freed by the unmap that takes its last byte. "partial"
//             counts the unmaps.
//   none      The unmap covers nothing known: mapped before the capture began. "unmatched"; left out.
//
// The events do not say which IOMMU domain they are of, and a machine has several. Then one
// address can be live twice at the same time (8966 unmaps of the iperf3 trace see that: it has two
// network cards). So live maps are a multiset; an unmap takes the tiling that was mapped first; and a
// map over a live address is no error: "remapped" counts it. All domains of the trace are replayed
// into one, which is harder on the allocator and asks nothing of it that it may refuse, as the
// addresses it chooses are its own.
#pragma once

#include <cstdint>
#include <vector>

#include "trace/trace.h"

namespace iovad::perf {

// One allocation. cpu: a dense index, the rank of the trace's cpu among those seen.
struct Slot {
	uint64_t size = 0;
	uint32_t alloc_line = 0;
	uint32_t free_line = 0;  // 0: never freed in the trace
	uint16_t alloc_cpu = 0;
	uint16_t free_cpu = 0;
};

// A call to be made. Ops stand in the order of the trace.
struct Op {
	uint32_t slot = 0;
	uint16_t cpu = 0;
	bool is_free = false;
	uint64_t time_ns = 0;  // since the trace began
};

struct PlanCounts {
	uint64_t maps = 0, unmaps = 0;   // events
	uint64_t allocs = 0, frees = 0;  // calls made of them
	uint64_t multi = 0, partial = 0, unmatched = 0, remapped = 0;
	uint64_t live_at_end = 0;  // allocations the trace never frees
	uint64_t cross_cpu = 0;    // freed on another cpu than allocated
	uint64_t peak_live = 0, peak_live_bytes = 0;
};

struct Plan {
	std::vector<Slot> slots;  // in the order of their allocation
	std::vector<Op> ops;
	std::vector<uint16_t> cpus;  // dense index -> cpu number of the trace
	PlanCounts counts;
};

// Throws UsageError where the trace is too long to be numbered.
Plan make_plan(const Trace &trace);

}  // namespace iovad::perf
