// SPDX-License-Identifier: BSD-3-Clause
// The pools of this process by name, and what is done for all of them.
#pragma once

#include <cstdio>
#include <functional>
#include <mutex>

#include "eal/bounce/pool.h"

namespace iovad::eal {

// While one exists nobody else has one: pools come and go one at a time. The control lcore does not
// wait for it, but uses what is in the list.
class BouncePoolRegistry {
public:
	// Not among those that have departed. Null: there is none.
	iovad_bounce_pool *find(const char *name) const;
	void put(iovad_bounce_pool *pool);
	// Waits for the pass that may be using it.
	void take_out(iovad_bounce_pool *pool);

private:
	static std::mutex mutex_;
	std::lock_guard<std::mutex> guard_{mutex_};
};

// While `use` runs, none is created or goes away. Departed ones are left out.
using UseBouncePool = std::function<void(iovad_bounce_pool &)>;
void for_each_bounce_pool(const UseBouncePool &use);
// False: there is none of this name.
bool with_bounce_pool(const char *name, const UseBouncePool &use);

// A pool that nobody uses any more, in no list: true, it is gone, if all its memory could be unmapped.
bool end_pool_now(iovad_bounce_pool *pool);

// Before a domain is destroyed: what has departed goes, if it can. -EBUSY, logged: it has pools.
int end_departed_pools(iovad_domain &domain);

// Recomputes everything, see iovad_bounce_verify(). No pass touches it meanwhile: they wait.
bool verify_bounce_pool(iovad_bounce_pool &pool, FILE *why);

// For the control lcore: one pass over the pools of all domains that are there. Returns how much it
// did. When the time is over what is not done, but for one chunk, is left for the next, which begins with
// another pool.
using IsThere = bool(const iovad_domain &);
unsigned serve_bounce_pools(IsThere *is_there, uint64_t now_ns, uint64_t end_ns);
// How soon they want the next; UINT64_MAX: there are none.
uint64_t bounce_interval_us();

}  // namespace iovad::eal
