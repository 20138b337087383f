// SPDX-License-Identifier: BSD-3-Clause
#include "eal/bounce/registry.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "eal/log/log.h"

namespace iovad::eal {

namespace {

// Of the list and what is in it; after BouncePoolRegistry, and after DomainsInUse.
std::mutex list_mutex;
iovad_bounce_pool *pools;  // they come and go under BouncePoolRegistry, too, but for those that have departed

constexpr uint64_t kIntervalUs = 1000, kHurriedUs = 50;

// True: it is gone.
bool end_if_unmapped(iovad_bounce_pool *pool, BounceSlice &slice)
{
	if (!pool->chunks.remove_all() || pool->chunks.settle(slice) != 0)
		return false;
	pool->domain.core.free_range(pool->state.config.base, pool->state.config.bytes);
	// The state lies there until the pool's end.
	const std::unique_ptr<DomainMemory> metadata = std::move(pool->metadata);
	delete pool;
	return true;
}

// Out of the list, linked by `next`.
iovad_bounce_pool *take_departed(const iovad_domain &domain)
{
	const std::lock_guard guard(list_mutex);
	iovad_bounce_pool *taken = nullptr;
	for (iovad_bounce_pool **link = &pools; *link;) {
		iovad_bounce_pool *const pool = *link;
		if (!pool->departed || &pool->domain != &domain) {
			link = &pool->next;
			continue;
		}
		*link = pool->next;
		pool->next = std::exchange(taken, pool);
	}
	return taken;
}

// With list_mutex held.
void put_into_list(iovad_bounce_pool *pool) { pool->next = std::exchange(pools, pool); }

// With list_mutex held.
void move_first_to_end()
{
	iovad_bounce_pool *const first = pools;
	if (!first || !first->next)
		return;
	pools = first->next;
	iovad_bounce_pool **link = &pools;
	while (*link)
		link = &(*link)->next;
	*link = first;
	first->next = nullptr;
}

// With list_mutex held.
iovad_bounce_pool *find_pool(const char *name)
{
	for (iovad_bounce_pool *p = pools; p; p = p->next) {
		if (!p->departed && p->name == name)
			return p;
	}
	return nullptr;
}

}  // namespace

std::mutex BouncePoolRegistry::mutex_;

iovad_bounce_pool *BouncePoolRegistry::find(const char *name) const
{
	const std::lock_guard guard(list_mutex);
	return find_pool(name);
}

void BouncePoolRegistry::put(iovad_bounce_pool *pool)
{
	const std::lock_guard guard(list_mutex);
	put_into_list(pool);
}

void BouncePoolRegistry::take_out(iovad_bounce_pool *pool)
{
	const std::lock_guard guard(list_mutex);
	iovad_bounce_pool **link = &pools;
	while (*link != pool)
		link = &(*link)->next;
	*link = pool->next;
}

void for_each_bounce_pool(const UseBouncePool &use)
{
	const std::lock_guard guard(list_mutex);
	for (iovad_bounce_pool *p = pools; p; p = p->next) {
		if (!p->departed)
			use(*p);
	}
}

bool with_bounce_pool(const char *name, const UseBouncePool &use)
{
	const std::lock_guard guard(list_mutex);
	iovad_bounce_pool *const pool = find_pool(name);
	if (pool)
		use(*pool);
	return pool != nullptr;
}

bool end_pool_now(iovad_bounce_pool *pool)
{
	BounceSlice all = BounceSlice::whole();
	pool->chunks.end_pauses();
	return end_if_unmapped(pool, all);
}

// Without the lock, which passes want: hooks, and devices that do not answer, may take long.
int end_departed_pools(iovad_domain &domain)
{
	for (iovad_bounce_pool *pool = take_departed(domain), *next; pool; pool = next) {
		next = pool->next;
		if (end_pool_now(pool))
			continue;
		const std::lock_guard guard(list_mutex);
		put_into_list(pool);
	}
	const std::lock_guard guard(list_mutex);
	int error = 0;
	for (const iovad_bounce_pool *p = pools; p; p = p->next) {
		if (&p->domain != &domain || p->departed)
			continue;
		IOVAD_LOG(ERR, "%s: not destroyed, bounce pool %s is in it", domain.shared->name, p->name.c_str());
		error = -EBUSY;
	}
	return error;
}

bool verify_bounce_pool(iovad_bounce_pool &pool, FILE *why)
{
	const std::lock_guard guard(list_mutex);
	return pool.slots.verify(why);
}

unsigned serve_bounce_pools(IsThere *is_there, uint64_t now, uint64_t end)
{
	const std::lock_guard guard(list_mutex);
	BounceSlice slice(end);
	unsigned done = 0;
	// Those that have departed take turns with the others.
	for (iovad_bounce_pool **link = &pools; *link;) {
		iovad_bounce_pool *const pool = *link, *const next = pool->next;
		const bool there = is_there(pool->domain);
		if (there && pool->departed && end_if_unmapped(pool, slice)) {
			*link = next;
			continue;
		}
		if (there && !pool->departed) {
			// What misses from here on asks again.
			pool->hurried.store(false, std::memory_order_relaxed);
			done += pool->upkeep.pass(now, slice);
		}
		link = &pool->next;
	}
	if (slice.is_over())
		move_first_to_end();
	return done;
}

uint64_t bounce_interval_us()
{
	const std::lock_guard guard(list_mutex);
	uint64_t us = UINT64_MAX;
	for (const iovad_bounce_pool *p = pools; p; p = p->next) {
		if (!p->departed)
			us = std::min(us, p->upkeep.is_behind() ? kHurriedUs : kIntervalUs);
	}
	return us;
}

}  // namespace iovad::eal
