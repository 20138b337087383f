// SPDX-License-Identifier: BSD-3-Clause
// A magazine: a stack of addresses of one bin, in 1 KiB. (Bonwick and Adams, "Magazines
// and Vmem", USENIX 2001.) It is touched by one party at a time: the lcore whose cache
// holds it, whoever took it out of the depot, or a reclaimer that has revoked the cache.
// n and the bin are also read by others, as a gauge.
#pragma once

#include <atomic>

#include "core/relaxed.h"
#include "core/size_class.h"

namespace iovad::core {

// capacity: what it may hold, as the depot says. next: in a list of the depot.
struct alignas(64) Magazine : iovad_hot_magazine {
	static constexpr unsigned kSlots = IOVAD_HOT_SLOTS;

	unsigned count() const { return load_relaxed(n); }
	void set_count(unsigned count) { store_relaxed(n, count); }
	Bin bin() const { return Bin::numbered(load_relaxed(iovad_hot_magazine::bin)); }
	void set_bin(Bin b) { store_relaxed(iovad_hot_magazine::bin, static_cast<uint16_t>(b.index())); }
	bool empty() const { return count() == 0; }
	unsigned room() const { return capacity - count(); }
};

static_assert(sizeof(Magazine) == 1024 && sizeof(iovad_hot_magazine) == 1024);

// A list of magazines, last in first out, under somebody's lock. Whenever that dies the list is one, if
// not of that length.
struct MagazineList {
	Magazine *head = nullptr;
	uint32_t length = 0;

	void push(Magazine *m)
	{
		m->next = head;
		std::atomic_signal_fence(std::memory_order_seq_cst);
		head = m;
		++length;
	}
	Magazine *pop()
	{
		Magazine *m = head;
		if (m) {
			head = static_cast<Magazine *>(m->next);
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
