// SPDX-License-Identifier: BSD-3-Clause
#include "debug_calls.h"

// The asm keeps a call from being the last thing, which would leave no trace of who made it.
#define TEST_CALLS(call)                     \
	const int result = call;             \
	__asm__ volatile("" ::: "memory");   \
	return result

[[gnu::noinline]] int test_takes(iovad_domain *d, uint64_t len, rte_iova_t *iova) { TEST_CALLS(iovad_alloc(d, len, UINT64_MAX, iova)); }
[[gnu::noinline]] int test_gives_back(iovad_domain *d, rte_iova_t iova, uint64_t len) { TEST_CALLS(iovad_free(d, iova, len)); }
[[gnu::noinline]] int test_maps(iovad_domain *d, void *va, uint64_t len, rte_iova_t *iova)
{
	TEST_CALLS(iovad_map(d, va, len, UINT64_MAX, IOVAD_BIDIRECTIONAL, iova));
}
[[gnu::noinline]] int test_unmaps(iovad_domain *d, rte_iova_t iova, uint64_t len) { TEST_CALLS(iovad_unmap(d, iova, len)); }
[[gnu::noinline]] int test_unmaps_again(iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	TEST_CALLS(iovad_unmap(d, iova, len));
}

[[gnu::noinline]] int test_bounces(iovad_bounce_pool *p, void *va, uint64_t len, uint32_t dir, rte_iova_t *iova)
{
	TEST_CALLS(iovad_bounce_map(p, va, len, 0, dir, iova));
}
