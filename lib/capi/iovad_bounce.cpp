// SPDX-License-Identifier: BSD-3-Clause
// The C API of bounce pools: pointers, the caller's lcore, the errno.
#include "iovad/iovad_bounce.h"

#include <cerrno>
#include <cstdint>
#include <new>

#include <rte_errno.h>
#include <rte_lcore.h>

#include "eal/bounce/pool.h"
#include "eal/bounce/registry.h"
#include "eal/control/control.h"

using iovad::core::BounceStatus;

namespace {

static_assert(iovad::core::kBounceToDevice == IOVAD_TO_DEVICE && iovad::core::kBounceFromDevice == IOVAD_FROM_DEVICE &&
	      iovad::core::kBounceBidirectional == IOVAD_BIDIRECTIONAL && iovad::core::kBounceOverwrite == IOVAD_BOUNCE_OVERWRITE &&
	      iovad::core::kBounceSkipCopy == IOVAD_BOUNCE_F_SKIP_COPY);

[[gnu::cold]] int negative_errno(BounceStatus status)
{
	switch (status) {
	case BounceStatus::ok: return 0;
	case BounceStatus::invalid: return -EINVAL;
	case BounceStatus::too_long: return -EMSGSIZE;
	case BounceStatus::again: return -EAGAIN;
	case BounceStatus::no_space: return -ENOSPC;
	case BounceStatus::not_of_pool: return -ENXIO;
	case BounceStatus::not_mapped: return -ENOENT;
	case BounceStatus::already: return -EALREADY;
	case BounceStatus::inside: return -EFAULT;
	case BounceStatus::wrong_direction: return -EACCES;
	case BounceStatus::wrong_length: return -ERANGE;
	}
	return -EINVAL;
}

int result(BounceStatus status) { return status == BounceStatus::ok ? 0 : negative_errno(status); }

// The first miss since the control lcore came by wakes it.
[[gnu::cold, gnu::noinline]] int not_mapped(iovad_bounce_pool *p, BounceStatus status)
{
	if (status == BounceStatus::again && !p->hurried.exchange(true, std::memory_order_relaxed))
		iovad::eal::control_hurry();
	return negative_errno(status);
}

}  // namespace

int iovad_bounce_conf_init(struct iovad_bounce_conf *conf)
{
	if (!conf)
		return -EINVAL;
	*conf = {};
	conf->size = sizeof *conf;
	conf->socket_id = SOCKET_ID_ANY;
	conf->limit = UINT64_MAX;
	return 0;
}

struct iovad_bounce_pool *iovad_bounce_pool_create(const struct iovad_bounce_conf *conf)
{
	if (!conf) {
		rte_errno = EINVAL;
		return nullptr;
	}
	return iovad::eal::create_bounce_pool(*conf);
}

int iovad_bounce_pool_destroy(struct iovad_bounce_pool *p) { return p ? iovad::eal::destroy_bounce_pool(p) : -EINVAL; }

int iovad_bounce_map(struct iovad_bounce_pool *p, void *va, uint64_t len, uint64_t min_align_mask, uint32_t dir,
		     rte_iova_t *iova)
{
	if (!p || !iova) [[unlikely]]
		return -EINVAL;
	const BounceStatus status = p->slots.map(rte_lcore_id(), va, len, min_align_mask, dir, *iova);
	return status == BounceStatus::ok ? 0 : not_mapped(p, status);
}

int iovad_bounce_unmap(struct iovad_bounce_pool *p, rte_iova_t iova, uint64_t len, uint32_t dir, uint32_t flags)
{
	return p ? result(p->slots.unmap(rte_lcore_id(), iova, len, dir, flags)) : -EINVAL;
}

int iovad_bounce_sync_for_cpu(struct iovad_bounce_pool *p, rte_iova_t iova, uint64_t off, uint64_t len, uint32_t dir)
{
	return p ? result(p->slots.sync_for_cpu(rte_lcore_id(), iova, off, len, dir)) : -EINVAL;
}

int iovad_bounce_sync_for_device(struct iovad_bounce_pool *p, rte_iova_t iova, uint64_t off, uint64_t len, uint32_t dir)
{
	return p ? result(p->slots.sync_for_device(rte_lcore_id(), iova, off, len, dir)) : -EINVAL;
}

int iovad_bounce_verify(struct iovad_bounce_pool *p, FILE *why)
try {
	if (!p)
		return -EINVAL;
	return iovad::eal::verify_bounce_pool(*p, why) ? 0 : -EIO;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

int iovad_bounce_stats_get(struct iovad_bounce_pool *p, struct iovad_bounce_stats *out)
{
	if (!p || !out)
		return -EINVAL;
	*out = iovad::eal::read_bounce_stats(*p);
	return 0;
}
