// SPDX-License-Identifier: BSD-3-Clause
// The C API: argument checks that only pointers need, the caller's lcore, the errno.
#include "iovad/iovad.h"

#include <cinttypes>
#include <new>

#include <rte_errno.h>

#include "eal/debug/freeing.h"
#include "eal/domain/registry.h"
#include "eal/domain/stats.h"
#include "eal/log/log.h"
#include "eal/log/trace_points.h"
#include "eal/status_errno.h"

using iovad::eal::negative_errno;
using iovad::core::Status;

namespace {

uint64_t reclaims(const iovad_domain *d) { return d->shared->state->reclaims.load(std::memory_order_relaxed); }

[[gnu::noinline]] int alloc_slow(iovad_domain *d, uint64_t len, uint64_t limit, rte_iova_t *iovas,
				 unsigned n)
{
	const unsigned lcore = rte_lcore_id();
	const uint64_t before = reclaims(d), given_back = d->mapper ? d->mapper->given_back() : 0;
	Status status = d->core.alloc_bulk(lcore, len, limit, iovas, n);
	// What was unmapped lazily may be what is missing.
	if (status == Status::no_space && d->mapper && d->mapper->make_room(lcore, given_back))
		status = d->core.alloc_bulk(lcore, len, limit, iovas, n);
	if (reclaims(d) != before)
		iovad::eal::trace::reclaim(d->shared->name, before + 1, negative_errno(status));
	if (d->checker && status == Status::ok) [[unlikely]] {
		for (unsigned i = 0; i < n; ++i)
			d->checker->allocated(iovas[i], len);
	}
	return negative_errno(status);
}

// What iovad_map() took goes back by iovad_unmap() only. Padding may lie before a mapping, and
// a block may be longer.
bool is_mapped(const iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	iovad::core::Mapping m;
	return d->mappings && len != 0 &&
	       (d->mappings->find_iova(iova, 1, m) || d->mappings->find_iova(iova + (len - 1), 1, m));
}

[[gnu::noinline]] int free_slow(iovad_domain *d, const rte_iova_t *iovas, uint64_t len, unsigned n)
{
	for (unsigned i = 0; i < n; ++i) {
		if (is_mapped(d, iovas[i], len)) [[unlikely]] {
			IOVAD_LOG(ERR, "%s: free of 0x%" PRIx64 ", %" PRIu64 " bytes, which is mapped: use "
				  "iovad_unmap()", d->shared->name, iovas[i], len);
			if (d->checker)
				d->checker->is_mapped(iovas[i], len);
			return -EBUSY;
		}
	}
	if (d->checker) [[unlikely]]
		return iovad::eal::debug::free(*d, iovas, len, n);
	return negative_errno(d->core.free_bulk(rte_lcore_id(), iovas, len, n));
}

[[gnu::noinline]] int free_one_slow(iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	return free_slow(d, &iova, len, 1);
}

}  // namespace

int iovad_domain_conf_init(struct iovad_domain_conf *conf)
{
	if (!conf)
		return -EINVAL;
	*conf = {};
	conf->size = sizeof *conf;
	conf->socket_id = SOCKET_ID_ANY;
	conf->backend = IOVAD_BACKEND_NONE;
	conf->container_fd = -1;
	return 0;
}

struct iovad_domain *iovad_domain_create(const struct iovad_domain_conf *conf)
{
	if (!conf) {
		rte_errno = EINVAL;
		return nullptr;
	}
	return iovad::eal::create_domain(*conf);
}

int iovad_domain_destroy(struct iovad_domain *d) { return d ? iovad::eal::destroy_domain(d) : -EINVAL; }

struct iovad_domain *iovad_domain_lookup(const char *name) { return iovad::eal::lookup_domain(name); }

int iovad_alloc_other(struct iovad_domain *d, uint64_t len, uint64_t limit, rte_iova_t *iova)
{
	if (!d || !iova) [[unlikely]]
		return -EINVAL;
	return d->core.try_alloc(rte_lcore_id(), len, limit, *iova) ? 0 : alloc_slow(d, len, limit, iova, 1);
}

int iovad_free_other(struct iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	if (!d) [[unlikely]]
		return -EINVAL;
	return d->core.try_free(rte_lcore_id(), iova, len) ? 0 : free_one_slow(d, iova, len);
}

int iovad_alloc_bulk_other(struct iovad_domain *d, uint64_t len, uint64_t limit, rte_iova_t *iovas,
			   unsigned int n)
{
	if (!d || !iovas) [[unlikely]]
		return d && n == 0 ? 0 : -EINVAL;
	return d->core.try_alloc_bulk(rte_lcore_id(), len, limit, iovas, n)
		       ? 0
		       : alloc_slow(d, len, limit, iovas, n);
}

int iovad_free_bulk_other(struct iovad_domain *d, const rte_iova_t *iovas, uint64_t len, unsigned int n)
{
	if (!d || !iovas) [[unlikely]]
		return d && n == 0 ? 0 : -EINVAL;
	return d->core.try_free_bulk(rte_lcore_id(), iovas, len, n) ? 0 : free_slow(d, iovas, len, n);
}

int iovad_alloc_range(struct iovad_domain *d, uint64_t len, uint64_t align, uint64_t limit,
		      rte_iova_t *iova)
{
	if (!d || !iova)
		return -EINVAL;
	const Status status = d->core.alloc_range(len, align, limit, *iova);
	if (d->checker && status == Status::ok) [[unlikely]]
		d->checker->allocated(*iova, len);
	return negative_errno(status);
}

int iovad_free_range(struct iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	if (!d)
		return -EINVAL;
	if (is_mapped(d, iova, len)) {
		if (d->checker)
			d->checker->is_mapped(iova, len);
		return -EBUSY;
	}
	return d->checker ? iovad::eal::debug::free_range(*d, iova, len) : negative_errno(d->core.free_range(iova, len));
}

int iovad_reserve(struct iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	return d ? negative_errno(d->core.reserve(iova, len)) : -EINVAL;
}

int iovad_unreserve(struct iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	return d ? negative_errno(d->core.unreserve(iova, len)) : -EINVAL;
}

int iovad_find(struct iovad_domain *d, rte_iova_t iova, struct iovad_range *out)
{
	if (!d || !out)
		return -EINVAL;
	const iovad::core::Extent e = d->core.find(iova);
	if (iovad::core::is_free(e.value))
		return -ENOENT;
	const iovad::core::Geometry &g = d->core.geometry();
	*out = {g.bytes(e.start), g.bytes(e.end - e.start), nullptr,
		static_cast<uint32_t>(iovad::core::is_live(e.value) ? IOVAD_RANGE_LIVE
								     : IOVAD_RANGE_RESERVED)};
	// Without the padding around it, so that its address and va are of the same byte.
	iovad::core::Mapping m;
	if (d->mappings && d->mappings->find_iova(iova, 1, m)) {
		out->iova = m.iova;
		out->len = m.len;
		out->va = reinterpret_cast<void *>(m.va);
	}
	return 0;
}

int iovad_verify(struct iovad_domain *d, FILE *why)
{
	if (!d)
		return -EINVAL;
	if (d->checker)
		d->checker->look_at_memory();
	try {
		const bool good = d->core.verify(why);
		return good && (!d->mappings || d->mappings->verify(why, d->core.space())) ? 0 : -EIO;
	} catch (const std::bad_alloc &) {
		return -ENOMEM;
	}
}

int iovad_domain_stats_get(struct iovad_domain *d, struct iovad_domain_stats *out)
{
	if (!d || !out)
		return -EINVAL;
	*out = iovad::eal::read_stats(*d);
	return 0;
}
