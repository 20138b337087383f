// SPDX-License-Identifier: BSD-3-Clause
// The pools of this process by name, and what is done for all of them.
#pragma once

#include <functional>
#include <mutex>

#include "eal/bounce_pool.h"

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
bool end_if_unmapped(iovad_bounce_pool *pool);

// Before a domain is destroyed: what has departed goes, if it can. -EBUSY, logged: it has pools.
int end_departed_pools(iovad_domain &domain);

// For the control lcore: one pass over the pools of a domain. Returns how much it did.
unsigned serve_bounce_pools(iovad_domain &domain, uint64_t now_ns);
// How soon they want the next; UINT64_MAX: there are none.
uint64_t bounce_interval_us(const iovad_domain &domain);

}  // namespace iovad::eal
