// SPDX-License-Identifier: BSD-3-Clause
// Mappings that one call of the backend can end together.
#pragma once

#include "core/mapping_table.h"
#include "core/size_class.h"

namespace iovad::dma {

inline uint64_t iova_of(const core::MappingRecord &r) { return r.iova.load(std::memory_order_relaxed); }
inline uint64_t end_of(const core::MappingRecord &r) { return iova_of(r) + r.len.load(std::memory_order_relaxed); }
inline uint64_t granules_of(const core::Geometry &g, const core::MappingRecord &r)
{
	return g.pfn(r.len.load(std::memory_order_relaxed));
}

// `a` ends where `b` begins: all that was allocated for them counts, which may be more than was
// mapped (a power of two of granules; what aligns them), and is nobody else's.
inline bool are_neighbours(const core::Geometry &g, const core::MappingRecord &a, const core::MappingRecord &b)
{
	const uint64_t end = a.cached ? iova_of(a) + g.bytes(core::block_of(granules_of(g, a))) : end_of(a);
	return iova_of(b) - g.bytes(b.padding) == end;
}

}  // namespace iovad::dma
