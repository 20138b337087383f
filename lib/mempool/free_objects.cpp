// SPDX-License-Identifier: BSD-3-Clause
#include "mempool/free_objects.h"

#include <algorithm>
#include <cstddef>
#include <new>

#include <rte_malloc.h>

namespace iovad::mempool {

FreeObjects *FreeObjects::create(uint32_t size, int socket_id)
{
	const uint32_t home = std::min(size / kHomes, kHomeObjects);
	const uint32_t slots = rte_align32pow2(size + 1);  // one is never used
	const ssize_t ring = rte_ring_get_memsize(slots);
	if (ring < 0)
		return nullptr;
	const auto ring_bytes = static_cast<size_t>(ring);
	void *memory = rte_zmalloc_socket("iovad_mempool",
					  sizeof(FreeObjects) + ring_bytes + size_t{kHomes} * home * sizeof(void *),
					  alignof(FreeObjects), socket_id);
	if (!memory)
		return nullptr;
	auto *out = new (memory) FreeObjects{};
	auto *bytes = reinterpret_cast<std::byte *>(out + 1);
	out->common_ = reinterpret_cast<rte_ring *>(bytes);
	rte_ring_init(out->common_, "iovad_mempool", slots, 0);
	auto **next = reinterpret_cast<void **>(bytes + ring_bytes);
	for (Stack &stack : out->homes_) {
		stack.capacity = home;
		stack.objects = next;
		next += home;
	}
	return out;
}

void FreeObjects::destroy(FreeObjects *objects) { rte_free(objects); }

uint32_t FreeObjects::count() const
{
	uint32_t sum = rte_ring_count(common_);
	for (const Stack &home : homes_)
		sum += home.count();
	return sum;
}

// Out of the stack before they are in the ring: where the process is killed between the two, objects are lost, and
// not had twice. There is room for all, unless the application has put back what it did not get.
void FreeObjects::Stack::move_all(rte_ring *to)
{
	void *some[kMoved];
	while (const uint32_t n = std::min(count(), kMoved)) {
		pop(some, n);
		const uint32_t moved = rte_ring_mp_enqueue_burst(to, some, n, nullptr);
		push(some + moved, n - moved);
		if (moved < n)
			return;
	}
}

// Nobody else holds two locks, so that this order is as good as any.
bool FreeObjects::get_from_all(void **to, uint32_t n)
{
	for (Stack &home : homes_)
		home.lock.lock();
	for (Stack &home : homes_)
		home.move_all(common_);
	const bool enough = rte_ring_mc_dequeue_bulk(common_, to, n, nullptr) != 0;
	for (Stack &home : homes_)
		home.lock.unlock();
	return enough;
}

}  // namespace iovad::mempool
