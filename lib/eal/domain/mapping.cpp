// SPDX-License-Identifier: BSD-3-Clause
#include "eal/domain/mapping.h"

#include <cerrno>
#include <cinttypes>
#include <new>

#include "dma/prefault.h"
#include "eal/log/log.h"
#include "eal/log/outcome.h"
#include "eal/log/trace_points.h"
#include "eal/status_errno.h"

namespace iovad::eal {

namespace {

// A failure of the backend's is worth a line; that nothing fits is for the caller to say.
int result(iovad_domain &d, const char *what, uint64_t address, uint64_t len, const dma::Outcome &o)
{
	if (*o.advice)
		d.log.backend_failed(what, address, len, o);
	return negative_errno(o.status);
}

template <class Use> int with_mapper(iovad_domain &d, Use use)
{
	if (!d.mapper)
		return -ENOTSUP;
	try {
		return use(*d.mapper);
	} catch (const std::bad_alloc &) {
		return -ENOMEM;
	}
}

uint64_t number(const void *va) { return reinterpret_cast<uint64_t>(va); }

// A failed map leaves an address of which every use is found, should nobody look at the error.
[[gnu::cold]] void tell_mapped(debug::Checker &checker, void *va, uint64_t len, uint32_t dir, rte_iova_t &iova, int error)
{
	if (error == 0)
		checker.mapped(va, len, dir, iova);
	else
		iova = RTE_BAD_IOVA;
}

[[gnu::cold]] void tell_region(debug::Checker &checker, void *va, uint64_t len, uint32_t dir, rte_iova_t &iova, int error)
{
	if (error == 0)
		checker.region_added(va, len, dir, iova);
	else
		iova = RTE_BAD_IOVA;
}

// What could not be unmapped is quarantined, and no longer the caller's.
template <class Unmap>
[[gnu::cold]] int unmap_checked(debug::Checker &checker, rte_iova_t iova, uint64_t len, bool lazily, Unmap unmap)
{
	const debug::Checker::Taken record = checker.unmapping(iova, len, lazily);
	const int error = unmap();
	if (error == 0 || error == -EIO)
		checker.unmapped(iova, len, record, lazily);
	else
		checker.not_unmapped(iova, len, record);
	return error;
}

template <class Remove> [[gnu::cold]] int remove_checked(debug::Checker &checker, void *va, uint64_t len, Remove remove)
{
	const debug::Checker::Taken record = checker.removing(va, len);
	const int error = remove();
	if (error == 0 || error == -EIO)
		checker.removed(record);
	else
		checker.not_removed(va, len, error, record);
	return error;
}

}  // namespace

int map(iovad_domain &d, void *va, uint64_t len, uint64_t limit, uint32_t dir, rte_iova_t &iova)
{
	const int error = with_mapper(d, [&](dma::Mapper &mapper) {
		const int failed = result(d, "map", number(va), len,
					  mapper.map(rte_lcore_id(), va, len, limit, dir, iova));
		trace::map(d.shared->name, va, len, failed ? RTE_BAD_IOVA : iova, failed);
		return failed;
	});
	if (d.checker) [[unlikely]]
		tell_mapped(*d.checker, va, len, dir, iova, error);
	return error;
}

int unmap(iovad_domain &d, rte_iova_t iova, uint64_t len, iovad_unmap_policy policy)
{
	const auto unmap_now = [&] {
		return with_mapper(d, [&](dma::Mapper &mapper) {
			const unsigned lcore = rte_lcore_id();
			const int error = result(d, "unmap", iova, len,
						 policy == IOVAD_UNMAP_LAZY ? mapper.unmap_lazy(lcore, iova, len)
									    : mapper.unmap(lcore, iova, len));
			trace::unmap(d.shared->name, iova, len, error);
			return error;
		});
	};
	if (d.checker && d.mapper) [[unlikely]]
		return unmap_checked(*d.checker, iova, len, policy == IOVAD_UNMAP_LAZY, unmap_now);
	return unmap_now();
}

int add_region(iovad_domain &d, void *va, uint64_t len, uint64_t limit, uint32_t dir, rte_iova_t &iova,
	       dma::Installer installer)
{
	const int error = with_mapper(d, [&](dma::Mapper &mapper) {
		if (const int unfit = refresh(d))
			return unfit;
		const int failed = result(d, "add the region", number(va), len,
					  mapper.add_region(va, len, limit, dir, iova, installer));
		trace::region_add(d.shared->name, va, len, failed ? RTE_BAD_IOVA : iova, failed);
		return failed;
	});
	if (d.checker) [[unlikely]]
		tell_region(*d.checker, va, len, dir, iova, error);
	return error;
}

int remove_region(iovad_domain &d, void *va, uint64_t len)
{
	const auto remove = [&] {
		return with_mapper(d, [&](dma::Mapper &mapper) {
			const int error = result(d, "remove the region", number(va), len, mapper.remove_region(va, len));
			trace::region_remove(d.shared->name, va, len, error);
			return error;
		});
	};
	if (d.checker && d.mapper) [[unlikely]]
		return remove_checked(*d.checker, va, len, remove);
	return remove();
}

int refresh(iovad_domain &d)
{
	return with_mapper(d, [&](dma::Mapper &mapper) {
		dma::Span used{};
		const dma::Outcome o = mapper.refresh(&used);
		if (o.status == core::Status::exists)
			IOVAD_LOG(ERR, "%s: 0x%" PRIx64 " - 0x%" PRIx64 " is in use", d.shared->name, used.first, used.last);
		return o.ok() ? 0 : -log_outcome(d.shared->name, "cannot take up what devices can address", o);
	});
}

int flush(iovad_domain &d)
{
	if (!d.mappings)
		return 0;
	return with_mapper(d, [](dma::Mapper &mapper) { return mapper.drain(rte_lcore_id()).ok() ? 0 : -EIO; });
}

// Not part of refresh(), which add_region() calls: it takes EAL's lock of its memory, and
// regions may be added while that is held.
int refresh_all(iovad_domain &d)
{
	const int error = refresh(d);
	const int of_eal = d.eal_memory ? -d.eal_memory->refresh() : 0;
	return error ? error : of_eal;
}

}  // namespace iovad::eal
