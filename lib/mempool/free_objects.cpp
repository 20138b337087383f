// SPDX-License-Identifier: BSD-3-Clause
#include "mempool/free_objects.h"

#include <algorithm>
#include <new>

#include <rte_malloc.h>

namespace iovad::mempool {

FreeObjects *FreeObjects::create(uint32_t size, int socket_id)
{
	const uint32_t home = std::min(size / kHomes, kHomeObjects);
	const size_t slots = size_t{size} + size_t{kHomes} * home;
	void *memory = rte_zmalloc_socket("iovad_mempool", sizeof(FreeObjects) + slots * sizeof(void *),
					  alignof(FreeObjects), socket_id);
	if (!memory)
		return nullptr;
	auto *out = new (memory) FreeObjects{};
	auto **next = reinterpret_cast<void **>(out + 1);
	for (Stack &stack : out->homes_) {
		stack.capacity = home;
		stack.objects = next;
		next += home;
	}
	out->common_.capacity = size;
	out->common_.objects = next;
	return out;
}

void FreeObjects::destroy(FreeObjects *objects) { rte_free(objects); }

uint32_t FreeObjects::count() const
{
	uint32_t sum = common_.count();
	for (const Stack &home : homes_)
		sum += home.count();
	return sum;
}

// Nobody else holds two locks, so that this order is as good as any.
bool FreeObjects::get_from_all(void **to, uint32_t n)
{
	for (Stack &home : homes_)
		home.lock.lock();
	common_.lock.lock();
	for (Stack &home : homes_) {
		// There is room for all, unless the application has put back what it did not get.
		const uint32_t kept = home.count() - std::min(home.count(), common_.capacity - common_.count());
		common_.push(home.objects + kept, home.count() - kept);
		home.len.store(kept, std::memory_order_relaxed);
	}
	const bool enough = common_.count() >= n;
	if (enough)
		common_.pop(to, n);
	common_.lock.unlock();
	for (Stack &home : homes_)
		home.lock.unlock();
	return enough;
}

}  // namespace iovad::mempool
