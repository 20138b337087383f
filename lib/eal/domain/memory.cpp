// SPDX-License-Identifier: BSD-3-Clause
#include "eal/domain/memory.h"

#include <algorithm>

#include <rte_malloc.h>

namespace iovad::eal {

// In front of what was taken.
struct DomainMemory::Chunk {
	Chunk *next;
};

DomainMemory::~DomainMemory()
{
	for (Chunk *c = chunks_, *next; c; c = next) {
		next = c->next;
		rte_free(c);
	}
}

void *DomainMemory::take(size_t bytes, size_t alignment)
{
	const size_t front = std::max(alignment, sizeof(Chunk));
	auto *chunk = static_cast<Chunk *>(
		rte_zmalloc_socket("iovad_domain", front + bytes, static_cast<unsigned>(alignment), socket_id_));
	if (!chunk)
		return nullptr;
	chunk->next = chunks_.load(std::memory_order_relaxed);
	while (!chunks_.compare_exchange_weak(chunk->next, chunk, std::memory_order_relaxed)) {
	}
	return reinterpret_cast<std::byte *>(chunk) + front;
}

}  // namespace iovad::eal
