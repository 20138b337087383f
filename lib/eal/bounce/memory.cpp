// SPDX-License-Identifier: BSD-3-Clause
#include "eal/bounce/memory.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <utility>

#include <rte_errno.h>

#include "eal/bounce/conf.h"

namespace iovad::eal {

BounceMemory::~BounceMemory()
{
	for (const Area &area : areas_)
		rte_memzone_free(area.zone);
}

void *BounceMemory::take(uint64_t expected)
{
	void *chunk = take_unused();
	for (; !chunk && expected != 0; expected /= 2) {
		if (add_area(expected))
			chunk = take_unused();
	}
	// Devices reach all of it, not only what slots hold, and EAL may hand out what another process
	// has left in a file.
	if (chunk)
		std::memset(chunk, 0, kBounceChunk);
	return chunk;
}

// From areas that are used the most, so that others become free.
void *BounceMemory::take_unused()
{
	Area *best = nullptr;
	for (Area &area : areas_) {
		if (!area.unused.empty() && (!best || area.unused.size() < best->unused.size()))
			best = &area;
	}
	if (!best)
		return nullptr;
	void *chunk = best->unused.back();
	best->unused.pop_back();
	return chunk;
}

// An earlier pool of this name may have left zones behind: see end_pool() in pool.cpp.
const rte_memzone *BounceMemory::reserve_zone(uint64_t chunks)
{
	const rte_memzone *zone;
	do {
		char name[RTE_MEMZONE_NAMESIZE];
		std::snprintf(name, sizeof name, "b_%s_%x", pool_, zones_++ & 0xffff);
		zone = rte_memzone_reserve_aligned(name, chunks * kBounceChunk, socket_id_,
						   RTE_MEMZONE_2MB | RTE_MEMZONE_SIZE_HINT_ONLY, kBounceChunk);
	} while (!zone && rte_errno == EEXIST);
	return zone;
}

bool BounceMemory::add_area(uint64_t chunks)
try {
	areas_.reserve(areas_.size() + 1);
	std::vector<void *> unused;
	unused.reserve(chunks);
	const rte_memzone *zone = reserve_zone(chunks);
	if (!zone)
		return false;
	for (uint64_t i = 0; i < chunks; ++i)
		unused.push_back(static_cast<char *>(zone->addr) + i * kBounceChunk);
	areas_.push_back({zone, std::move(unused), chunks});
	return true;
} catch (const std::bad_alloc &) {
	return false;
}

void BounceMemory::give_back(void *chunk)
{
	const auto area = std::find_if(areas_.begin(), areas_.end(), [chunk](const Area &a) {
		return static_cast<uint64_t>(static_cast<char *>(chunk) - static_cast<char *>(a.zone->addr)) <
		       a.chunks * kBounceChunk;
	});
	area->unused.push_back(chunk);
	if (area->unused.size() != area->chunks)
		return;
	rte_memzone_free(area->zone);
	areas_.erase(area);
}

}  // namespace iovad::eal
