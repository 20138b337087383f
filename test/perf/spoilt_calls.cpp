// SPDX-License-Identifier: BSD-3-Clause
// Between a soak and the library: calls that break a promise at every 50th time, which one IOVAD_TEST_FAULT says.
// A check that never fires proves nothing.
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <iovad/iovad_bounce.h>
#include <iovad/iovad_dma.h>

extern "C" {
int __real_iovad_alloc_range(iovad_domain *d, uint64_t len, uint64_t align, uint64_t limit, rte_iova_t *iova);
int __real_iovad_free_range(iovad_domain *d, rte_iova_t iova, uint64_t len);
int __real_iovad_unmap_strict(iovad_domain *d, rte_iova_t iova, uint64_t len);
int __real_iovad_bounce_unmap(iovad_bounce_pool *p, rte_iova_t iova, uint64_t len, uint32_t dir, uint32_t flags);
int __real_iovad_verify(iovad_domain *d, FILE *why);
int __wrap_iovad_alloc_range(iovad_domain *d, uint64_t len, uint64_t align, uint64_t limit, rte_iova_t *iova);
int __wrap_iovad_free_range(iovad_domain *d, rte_iova_t iova, uint64_t len);
int __wrap_iovad_unmap_strict(iovad_domain *d, rte_iova_t iova, uint64_t len);
int __wrap_iovad_bounce_unmap(iovad_bounce_pool *p, rte_iova_t iova, uint64_t len, uint32_t dir, uint32_t flags);
int __wrap_iovad_verify(iovad_domain *d, FILE *why);
}

namespace {

bool now(const char *fault)
{
	static std::atomic<unsigned> calls = 0;
	const char *const wanted = getenv("IOVAD_TEST_FAULT");
	return wanted != nullptr && strcmp(wanted, fault) == 0 && calls.fetch_add(1) % 50 == 49;
}

std::atomic<rte_iova_t> one_given;

}  // namespace

int __wrap_iovad_alloc_range(iovad_domain *d, uint64_t len, uint64_t align, uint64_t limit, rte_iova_t *iova)
{
	const int status = __real_iovad_alloc_range(d, len, align, limit, iova);
	if (status == 0 && now("overlap"))
		*iova = one_given;
	if (status == 0)
		one_given = *iova;
	if (status == 0 && now("limit"))
		*iova += uint64_t(1) << 48;
	return status;
}

int __wrap_iovad_free_range(iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	if (now("leak"))
		return 0;
	return now("free") ? -ENOENT : __real_iovad_free_range(d, iova, len);
}

int __wrap_iovad_unmap_strict(iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	return now("reachable") ? 0 : __real_iovad_unmap_strict(d, iova, len);
}

int __wrap_iovad_bounce_unmap(iovad_bounce_pool *p, rte_iova_t iova, uint64_t len, uint32_t dir, uint32_t flags)
{
	return __real_iovad_bounce_unmap(p, iova, len, dir, now("lost") ? IOVAD_BOUNCE_F_SKIP_COPY : flags);
}

int __wrap_iovad_verify(iovad_domain *d, FILE *why)
{
	const char *const wanted = getenv("IOVAD_TEST_FAULT");
	return wanted != nullptr && strcmp(wanted, "verify") == 0 ? -EIO : __real_iovad_verify(d, why);
}
