// SPDX-License-Identifier: BSD-3-Clause
// Where the CPU finds a slot that is mapped, up to the end of its chunk.
#pragma once

#include "eal/bounce/pool.h"

namespace iovad::eal {

inline void *slot_va(const iovad_bounce_pool &pool, rte_iova_t iova)
{
	const uint64_t offset = iova - pool.state.config.base;
	return static_cast<std::byte *>(pool.slots.chunk_va(static_cast<unsigned>(offset >> core::kChunkShift))) +
	       (offset & (core::kChunkBytes - 1));
}

}  // namespace iovad::eal
