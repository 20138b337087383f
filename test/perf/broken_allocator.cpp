// SPDX-License-Identifier: BSD-3-Clause
// Stands in for the library where iovad-perf's own checks are on trial: an allocator that does what
// it should until IOVAD_TEST_FAULT tells it otherwise. A check that never fires proves nothing.

// iovad_alloc() and iovad_free() are iovad.h's, compiled here for builds that do not inline them.
#define IOVAD_INLINE
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

#include <rte_errno.h>

#include <iovad/iovad.h>

struct iovad_domain {
	iovad_hot_domain hot = {};  // nothing is cached, so that all calls come here
	std::mutex mutex;
	std::map<uint64_t, uint64_t> live;  // start -> end
	uint64_t calls = 0;
	std::string fault;
};

namespace {

constexpr uint64_t kEvery = 10000;  // calls between two faults

// The highest naturally aligned place below limit.
bool place(const iovad_domain &d, uint64_t len, uint64_t limit, uint64_t &start)
{
	start = (limit + 1 - len) / len * len;
	for (auto it = d.live.rbegin(); it != d.live.rend() && it->second > start; ++it) {
		if (it->first >= start + len)
			continue;
		if (it->first < 2 * len)
			return false;
		start = (it->first - len) / len * len;
	}
	return true;
}

}  // namespace

int iovad_domain_conf_init(iovad_domain_conf *conf)
{
	*conf = {};
	conf->size = sizeof(*conf);
	return 0;
}

iovad_domain *iovad_domain_create(const iovad_domain_conf *)
{
	const char *fault = getenv("IOVAD_TEST_FAULT");
	if (fault != nullptr && fault == std::string("create")) {
		rte_errno = ENOMEM;
		return nullptr;
	}
	auto *d = new iovad_domain;
	d->fault = fault == nullptr ? "" : fault;
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
	const std::lock_guard guard(d->mutex);
	len = std::bit_ceil(len);
	uint64_t start = 0;
	const bool now = ++d->calls % kEvery == 0;
	if (now && d->fault == "hang")
		pause();
	if ((now && d->fault == "nospace") || !place(*d, len, limit, start))
		return -ENOSPC;
	d->live.emplace(start, start + len);
	*iova = start;
	if (now && d->fault == "overlap")
		*iova = d->live.rbegin()->second / len * len - len;
	if (now && d->fault == "range")
		*iova = uint64_t(1) << 40;
	if (now && d->fault == "align")
		*iova = start + 512;
	return 0;
}

int iovad_free_other(iovad_domain *d, rte_iova_t iova, uint64_t)
{
	const std::lock_guard guard(d->mutex);
	if (++d->calls % kEvery == 0 && d->fault == "leak")
		return 0;
	if (d->calls % kEvery == 0 && d->fault == "free")
		return -ENOENT;
	d->live.erase(iova);
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
	return 0;
}
