// SPDX-License-Identifier: BSD-3-Clause
// Stands in for the library where iovad-perf's own checks are on trial: an allocator that does what
// it should until IOVAD_TEST_FAULT tells it otherwise, at each IOVAD_TEST_EVERY-th call. A check that
// never fires proves nothing.

// What the headers inline is compiled here, for builds that do not inline it.
#define IOVAD_INLINE
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include <rte_errno.h>

#include <iovad/iovad_bounce.h>
#include <iovad/iovad_control.h>
#include <iovad/iovad_dma.h>

struct Live {
	uint64_t end;
	char *va;
};

struct iovad_domain {
	iovad_hot_domain hot = {};  // nothing is cached or deferred, so that all calls come here
	iovad_hot_retire_queue closed = {};
	uint64_t last;
	std::mutex mutex;
	std::map<uint64_t, Live> live;  // by start
	char *region = nullptr;
	uint64_t region_bytes = 0, calls = 0, unmapped = 0;
	std::string fault;
	uint64_t every = 9999;  // calls between two faults: odd, where calls of two kinds take turns
};

namespace {


// The highest naturally aligned place below limit.
bool place(const iovad_domain &d, uint64_t len, uint64_t limit, uint64_t &start)
{
	start = (limit + 1 - len) / len * len;
	for (auto it = d.live.rbegin(); it != d.live.rend() && it->second.end > start; ++it) {
		if (it->first >= start + len)
			continue;
		if (it->first < 2 * len)
			return false;
		start = (it->first - len) / len * len;
	}
	return true;
}

int take(iovad_domain *d, uint64_t len, uint64_t limit, char *va, rte_iova_t *iova)
{
	const std::lock_guard guard(d->mutex);
	len = std::bit_ceil(len);
	uint64_t start = 0;
	const bool now = ++d->calls % d->every == 0;
	if (now && d->fault == "hang")
		pause();
	if ((now && d->fault == "nospace") || !place(*d, len, std::min(limit, d->last), start))
		return -ENOSPC;
	d->live.emplace(start, Live{start + len, va});
	*iova = start;
	if (now && d->fault == "overlap")
		*iova = d->live.rbegin()->second.end / len * len - len;
	if (now && d->fault == "range")
		*iova = uint64_t(1) << 40;
	if (now && d->fault == "align")
		*iova = start + 512;
	if (now && d->fault == "astray")
		d->live[start].va += 4096;
	return 0;
}

}  // namespace

int iovad_domain_conf_init(iovad_domain_conf *conf)
{
	*conf = {};
	conf->size = sizeof(*conf);
	return 0;
}

iovad_domain *iovad_domain_create(const iovad_domain_conf *conf)
{
	const char *fault = getenv("IOVAD_TEST_FAULT");
	if (fault != nullptr && fault == std::string("create")) {
		rte_errno = ENOMEM;
		return nullptr;
	}
	auto *d = new iovad_domain;
	d->last = conf->iova_last;
	for (iovad_hot_retire_queue *&retired : d->hot.retired)
		retired = &d->closed;
	d->fault = fault == nullptr ? "" : fault;
	if (const char *every = getenv("IOVAD_TEST_EVERY"))
		d->every = strtoull(every, nullptr, 10);
	return d;
}

int iovad_domain_destroy(iovad_domain *d)
{
	if (!d->live.empty())
		return -EBUSY;
	delete d;
	return 0;
}

int iovad_alloc_other(iovad_domain *d, uint64_t len, uint64_t limit, rte_iova_t *iova)
{
	return take(d, len, limit, nullptr, iova);
}

int iovad_free_other(iovad_domain *d, rte_iova_t iova, uint64_t)
{
	const std::lock_guard guard(d->mutex);
	if (++d->calls % d->every == 0 && d->fault == "leak")
		return 0;
	if (d->calls % d->every == 0 && d->fault == "free")
		return -ENOENT;
	d->live.erase(iova);
	return 0;
}

// iovad-perf calls neither, but they are what the headers' bulk calls go on to.
int iovad_alloc_bulk_other(iovad_domain *, uint64_t, uint64_t, rte_iova_t *, unsigned) { return -ENOSPC; }
int iovad_free_bulk_other(iovad_domain *, const rte_iova_t *, uint64_t, unsigned) { return -ENOENT; }

int iovad_map(iovad_domain *d, void *va, uint64_t len, uint64_t limit, uint32_t, rte_iova_t *iova)
{
	return take(d, (len + 4095) / 4096 * 4096, limit, static_cast<char *>(va), iova);
}

int iovad_unmap_other(iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	const int status = iovad_free_other(d, iova, len);
	d->unmapped += status == 0;
	return status;
}

void *iovad_iova2va(iovad_domain *d, rte_iova_t iova, uint64_t)
{
	const std::lock_guard guard(d->mutex);
	const auto it = d->live.upper_bound(iova);
	return it == d->live.begin() ? nullptr : std::prev(it)->second.va + (iova - std::prev(it)->first);
}

rte_iova_t iovad_va2iova(iovad_domain *d, const void *va, uint64_t)
{
	const auto offset = static_cast<uint64_t>(static_cast<const char *>(va) - d->region);
	return offset < d->region_bytes ? offset : RTE_BAD_IOVA;
}

int iovad_region_add(iovad_domain *d, void *va, uint64_t len, uint64_t, uint32_t, rte_iova_t *)
{
	if (d->fault == "region")
		return -ENOSPC;
	d->region = static_cast<char *>(va);
	d->region_bytes = len;
	return 0;
}

int iovad_region_remove(iovad_domain *, void *, uint64_t)
{
	return 0;
}

int iovad_flush(iovad_domain *d)
{
	return d->fault == "flush" ? -EIO : 0;
}

// ---- bounce pools: each slot is memory of its own ----

struct iovad_bounce_pool {
	iovad_domain *domain;
};

int iovad_bounce_conf_init(iovad_bounce_conf *conf)
{
	*conf = {};
	conf->size = sizeof(*conf);
	return 0;
}

iovad_bounce_pool *iovad_bounce_pool_create(const iovad_bounce_conf *conf)
{
	return new iovad_bounce_pool{conf->domain};
}

int iovad_bounce_pool_destroy(iovad_bounce_pool *p)
{
	const bool busy = p->domain->fault == "busy";
	delete p;
	return busy ? -EBUSY : 0;
}

int iovad_bounce_map(iovad_bounce_pool *p, void *va, uint64_t len, uint64_t, uint32_t, rte_iova_t *iova)
{
	// In front of the data: whose it is.
	auto *slot = static_cast<char *>(calloc(1, sizeof va + len)) + sizeof va;
	memcpy(slot - sizeof va, &va, sizeof va);
	if (p->domain->fault != "stale")
		memcpy(slot, va, len);
	return take(p->domain, (len + 4095) / 4096 * 4096, UINT64_MAX, slot, iova);
}

int iovad_bounce_unmap(iovad_bounce_pool *p, rte_iova_t iova, uint64_t len, uint32_t dir, uint32_t)
{
	auto *slot = static_cast<char *>(iovad_iova2va(p->domain, iova, len));
	char *va;
	memcpy(&va, slot - sizeof va, sizeof va);
	if (dir != IOVAD_TO_DEVICE && p->domain->fault != "lost")
		memcpy(va, slot, len);
	free(slot - sizeof va);
	return iovad_free_other(p->domain, iova, len);
}

int iovad_control_thread_start()
{
	return 0;
}

int iovad_control_thread_stop()
{
	return 0;
}

int iovad_verify(iovad_domain *d, FILE *why)
{
	if (d->fault != "verify")
		return 0;
	fprintf(why, "largest gap: 3, recomputed 4\n");
	return -EIO;
}

int iovad_domain_stats_get(iovad_domain *d, iovad_domain_stats *out)
{
	*out = {};
	out->live_ranges = d->live.size() + (d->fault == "count" ? 1 : 0);
	out->unmapped_ranges = d->unmapped + (d->fault == "unmapped" ? 1 : 0);
	out->deferred_peak_bytes = d->fault == "peak" ? UINT64_MAX : 0;
	return 0;
}
