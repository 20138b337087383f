// SPDX-License-Identifier: BSD-3-Clause
#include "eal/table_memory.h"

#include <rte_malloc.h>

namespace iovad::eal {

using core::PageIndex;

// In front of its tables.
struct alignas(PageIndex::Table) TableMemory::Chunk {
	Chunk *next;
};

TableMemory::~TableMemory()
{
	for (Chunk *c = chunks_, *next; c; c = next) {
		next = c->next;
		rte_free(c);
	}
}

PageIndex::Table *TableMemory::take(unsigned n)
{
	const size_t bytes = sizeof(Chunk) + n * sizeof(PageIndex::Table);
	auto *chunk = static_cast<Chunk *>(rte_zmalloc_socket("iovad_tables", bytes, alignof(Chunk), socket_id_));
	if (!chunk)
		return nullptr;
	chunk->next = chunks_.load(std::memory_order_relaxed);
	while (!chunks_.compare_exchange_weak(chunk->next, chunk, std::memory_order_relaxed)) {
	}
	return reinterpret_cast<PageIndex::Table *>(chunk + 1);
}

}  // namespace iovad::eal
