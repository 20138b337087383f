// SPDX-License-Identifier: BSD-3-Clause
#include "eal/bounce_registry.h"

#include <algorithm>
#include <cerrno>
#include <memory>

#include "eal/log.h"

namespace iovad::eal {

namespace {

// Of the list and what is in it; after BouncePoolRegistry, and after DomainsInUse.
std::mutex list_mutex;
iovad_bounce_pool *pools;  // changed with the registry, too, but that those that have departed end

constexpr uint64_t kIntervalUs = 1000, kHurriedUs = 50;

// With list_mutex held: those of a domain that have departed, and can end, are gone.
void end_departed(const iovad_domain &domain)
{
	for (iovad_bounce_pool **link = &pools; *link;) {
		iovad_bounce_pool *const pool = *link;
		iovad_bounce_pool *const next = pool->next;
		if (&pool->domain == &domain && pool->departed && end_if_unmapped(pool))
			*link = next;
		else
			link = &pool->next;
	}
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

// With list_mutex held.
template <class Use> void for_each_of(const iovad_domain &domain, Use use)
{
	for (iovad_bounce_pool *p = pools; p; p = p->next) {
		if (&p->domain == &domain && !p->departed)
			use(*p);
	}
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
	pool->next = pools;
	pools = pool;
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

bool end_if_unmapped(iovad_bounce_pool *pool)
{
	if (!pool->chunks.remove_all() || pool->chunks.settle() != 0)
		return false;
	pool->domain.core.free_range(pool->state.config.base, pool->state.config.bytes);
	// The state lies there until the pool's end.
	const std::unique_ptr<DomainMemory> metadata = std::move(pool->metadata);
	delete pool;
	return true;
}

int end_departed_pools(iovad_domain &domain)
{
	const std::lock_guard guard(list_mutex);
	end_departed(domain);
	int error = 0;
	for_each_of(domain, [&](const iovad_bounce_pool &pool) {
		IOVAD_LOG(ERR, "%s: not destroyed, bounce pool %s is in it", domain.shared->name, pool.name.c_str());
		error = -EBUSY;
	});
	return error;
}

unsigned serve_bounce_pools(iovad_domain &domain, uint64_t now)
{
	const std::lock_guard guard(list_mutex);
	end_departed(domain);
	unsigned done = 0;
	for_each_of(domain, [&](iovad_bounce_pool &pool) {
		// What misses from here on asks again.
		pool.hurried.store(false, std::memory_order_relaxed);
		done += pool.upkeep.pass(*pool.metadata, pool.log, now);
		pool.log.settle(now);
	});
	return done;
}

uint64_t bounce_interval_us(const iovad_domain &domain)
{
	const std::lock_guard guard(list_mutex);
	uint64_t us = UINT64_MAX;
	for_each_of(domain, [&](const iovad_bounce_pool &pool) {
		us = std::min(us, pool.upkeep.is_behind() ? kHurriedUs : kIntervalUs);
	});
	return us;
}

}  // namespace iovad::eal
