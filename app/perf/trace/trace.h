// SPDX-License-Identifier: BSD-3-Clause
// A recorded stream of the kernel's iommu:map and iommu:unmap events.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace iovad::perf {

enum class EventKind : uint8_t { map, unmap };

struct TraceEvent {
	uint64_t iova = 0;
	uint64_t size = 0;     // bytes, never 0; iova + size does not overflow
	uint64_t time_ns = 0;  // the trace's clock
	uint32_t line = 0;     // in the file, from 1
	uint16_t cpu = 0;
	EventKind kind = EventKind::map;
};

struct Trace {
	std::string path;
	std::vector<TraceEvent> events;  // in file order, which is time order
	uint64_t lines = 0;
	uint64_t skipped = 0;  // comments, blank lines and other events
	uint64_t lost = 0;     // "[LOST n EVENTS]" marks: the capture has holes
};

}  // namespace iovad::perf
