// SPDX-License-Identifier: BSD-3-Clause
// What this process knows of its pools beyond the free objects, which is all that
// the data path needs.
#pragma once

#include <rte_mempool.h>

#include "mempool/pool_domain.h"

namespace iovad::mempool {

// 0 or a negative errno, logged. Any thread.
int open_pool(const rte_mempool *pool);
// Maps a piece of the pool's memory.
int map_chunk(const rte_mempool *pool, void *va, size_t len, rte_iova_t &iova);
// What map_chunk() did last is undone.
void unmap_last_chunk(const rte_mempool *pool);
// All of it is unmapped. Nothing where the pool is not of this driver, or not of this process.
void unmap_pool(const rte_mempool *pool);
// After unmap_pool(); unmaps what is left where that was not called. After a failed open_pool() it does nothing.
void close_pool(const rte_mempool *pool);

}  // namespace iovad::mempool
