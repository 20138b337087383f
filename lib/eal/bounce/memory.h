// SPDX-License-Identifier: BSD-3-Clause
// The memory of a bounce pool: chunks of 2 MiB, aligned to that, from EAL's memory.
//
// A piece of EAL's heap has a header in front, so that one chunk by itself takes the room of
// two. So areas of several are reserved at once, a memzone each, and an area goes back to EAL
// when the pool uses none of its chunks. One thread at a time; may block.
#pragma once

#include <cstdint>
#include <vector>

#include <rte_memzone.h>

namespace iovad::eal {

class BounceMemory {
public:
	// pool: its name, which stays.
	BounceMemory(const char *pool, int socket_id) : pool_(pool), socket_id_(socket_id) {}
	// All of it goes back.
	~BounceMemory();
	BounceMemory(const BounceMemory &) = delete;
	BounceMemory &operator=(const BounceMemory &) = delete;

	// A chunk, zeroed, or null: EAL has no more. expected: how many will be wanted, this one
	// included; as large an area as that is asked for, where there is none left.
	void *take(uint64_t expected);
	void give_back(void *chunk);

private:
	struct Area {
		const rte_memzone *zone;
		std::vector<void *> unused;  // with room for all
		uint64_t chunks;
	};
	void *take_unused();
	bool add_area(uint64_t chunks);
	const rte_memzone *reserve_zone(uint64_t chunks);

	const char *const pool_;
	const int socket_id_;
	unsigned zones_ = 0;  // ever
	std::vector<Area> areas_;
};

}  // namespace iovad::eal
