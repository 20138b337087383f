// SPDX-License-Identifier: BSD-3-Clause
// A magazine: a stack of addresses of one bin, in 1 KiB. (Bonwick and Adams, "Magazines
// and Vmem", USENIX 2001.) It is touched by one party at a time: the lcore whose cache
// holds it, whoever took it out of the depot, or a reclaimer that has revoked the cache.
// n and the bin are also read by others, as a gauge.
#pragma once

#include <atomic>

#include "core/size_class.h"

namespace iovad::core {

struct alignas(64) Magazine {
	static constexpr unsigned kSlots = 126;

	std::atomic<uint32_t> n;
	uint16_t capacity;   // what the bin may hold in one magazine, at most kSlots
	std::atomic<uint16_t> bin_index;
	Magazine *next;      // in a list of the depot
	uint64_t address[kSlots];  // bytes

	unsigned count() const { return n.load(std::memory_order_relaxed); }
	void set_count(unsigned count) { n.store(count, std::memory_order_relaxed); }
	Bin bin() const { return Bin::numbered(bin_index.load(std::memory_order_relaxed)); }
	bool empty() const { return count() == 0; }
	unsigned room() const { return capacity - count(); }
};

static_assert(sizeof(Magazine) == 1024);

// A list of magazines, last in first out, under somebody's lock.
struct MagazineList {
	Magazine *head = nullptr;
	uint32_t length = 0;

	void push(Magazine *m)
	{
		m->next = head;
		head = m;
		++length;
	}
	Magazine *pop()
	{
		Magazine *m = head;
		if (m) {
			head = m->next;
			--length;
		}
		return m;
	}
	void take_all(MagazineList &from)
	{
		while (Magazine *m = from.pop())
			push(m);
	}
};

}  // namespace iovad::core
