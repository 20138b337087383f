// SPDX-License-Identifier: BSD-3-Clause
#include "eal/ethdev/header_pools.h"

#include <cstdio>

#include <rte_errno.h>
#include <rte_ethdev.h>

#include "eal/ethdev/header.h"
#include "eal/log/log.h"
#include "eal/still_holds.h"

namespace iovad::eal {

namespace {

constexpr char kName[] = "iovad_bounce_";  // with the port and a number

}  // namespace

// Those of before, where they are enough: some may still be out.
rte_mempool *HeaderPools::get(unsigned n)
{
	if (!present_.empty() && present_.front().mempool->size >= n)
		return present_.front().mempool;
	leave();
	present_.push_back({nullptr, 0});
	char name[RTE_MEMPOOL_NAMESIZE];
	std::snprintf(name, sizeof name, "%s%u_%u", kName, port_, made_++);
	rte_mempool *const mempool = Headers::create(name, n, rte_eth_dev_socket_id(port_));
	if (!mempool) {
		present_.clear();
		IOVAD_LOG(ERR, "port %u: no memory for %u mbufs (%s)", port_, n, rte_strerror(rte_errno));
		return nullptr;
	}
	present_.front().mempool = mempool;
	return mempool;
}

void HeaderPools::leave()
{
	if (present_.empty())
		return;
	rte_mempool *const mempool = present_.front().mempool;
	if (const unsigned out = Headers::in_use(*mempool); out != 0)
		IOVAD_LOG(WARNING, "port %u: %u mbufs of %s are in use: it stays until they have been free for a second", port_,
			  out, mempool->name);
	left_.splice(left_.end(), present_);
}

void HeaderPools::free_idle(uint64_t now_ns)
{
	left_.remove_if([now_ns](Pool &pool) {
		if (!still_holds(pool.mempool->name, kName, sizeof kName - 1))
			return true;
		if (Headers::in_use(*pool.mempool) != 0) {
			pool.idle_since_ns = 0;
			return false;
		}
		if (pool.idle_since_ns == 0)
			pool.idle_since_ns = now_ns;
		if (now_ns - pool.idle_since_ns < kIdleNs)
			return false;
		rte_mempool_free(pool.mempool);
		return true;
	});
}

}  // namespace iovad::eal
