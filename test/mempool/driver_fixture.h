// SPDX-License-Identifier: BSD-3-Clause
// Pools of the driver "iovad" through DPDK's own functions, as an application makes them.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "iovad/iovad.h"

namespace iovad::test {

inline constexpr unsigned kMbufs = 1023;

struct PoolFree {
	void operator()(rte_mempool *pool) const { rte_mempool_free(pool); }
};
using Pool = std::unique_ptr<rte_mempool, PoolFree>;

struct DomainDestroy {
	void operator()(iovad_domain *d) const { iovad_domain_destroy(d); }
};
using Domain = std::unique_ptr<iovad_domain, DomainDestroy>;

inline iovad_domain *domain_named(const char *name) { return iovad_domain_lookup(name); }

inline Domain soft_domain(const char *name)
{
	iovad_domain_conf conf;
	iovad_domain_conf_init(&conf);
	conf.name = name;
	conf.backend = IOVAD_BACKEND_SOFT;
	return Domain(iovad_domain_create(&conf));
}

class MempoolDriverTest : public testing::Test {
protected:
	void SetUp() override { configure("backend=soft"); }
	void TearDown() override
	{
		EXPECT_EQ(domain_named("mempool"), nullptr) << "a pool's domain is left over";
		unsetenv("IOVAD_MEMPOOL");
	}

	static void configure(const char *settings) { setenv("IOVAD_MEMPOOL", settings, 1); }

	static Pool mbuf_pool(const char *name, unsigned cache = 0)
	{
		return Pool(rte_pktmbuf_pool_create_by_ops(name, kMbufs, cache, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
							   SOCKET_ID_ANY, "iovad"));
	}

	// With settings of its own. Null: rte_errno.
	static Pool pool_with(const char *name, const char *settings, unsigned flags = 0)
	{
		Pool pool(rte_mempool_create_empty(name, kMbufs, 2048, 0, 0, SOCKET_ID_ANY, flags));
		if (!pool)
			return nullptr;
		std::string text = settings;
		int error = rte_mempool_set_ops_byname(pool.get(), "iovad", text.data());
		if (error == 0)
			error = std::min(rte_mempool_populate_default(pool.get()), 0);
		if (error == 0)
			return pool;
		pool.reset();
		rte_errno = -error;
		return nullptr;
	}
};

inline void for_each_mbuf(const Pool &pool, void (*check)(rte_mempool *, void *, void *, unsigned), void *arg)
{
	EXPECT_EQ(rte_mempool_obj_iter(pool.get(), check, arg), pool->size);
}

}  // namespace iovad::test
