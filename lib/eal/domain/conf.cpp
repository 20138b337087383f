// SPDX-License-Identifier: BSD-3-Clause
#include "eal/domain/conf.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <cerrno>
#include <cinttypes>
#include <cstring>

#include <rte_lcore.h>

#include "core/asymmetric_fence.h"
#include "eal/log/log.h"

namespace iovad::eal {

namespace {

constexpr uint64_t kDefaultGranule = 4096, kLargestGranule = uint64_t{1} << 30;
constexpr uint64_t kDefaultLast = (uint64_t{1} << 48) - 1;  // without a backend
constexpr uint64_t kDefaultRanges = 65536, kMostRanges = uint64_t{1} << 30;
constexpr unsigned kDefaultCachePercent = 12, kMostCachePercent = 50;
constexpr uint64_t kLeastAgeUs = 100, kMostAgeUs = 10'000'000, kDefaultAgeUs = 10'000;
constexpr uint64_t kDefaultLazyBytes = uint64_t{256} << 20, kDefaultLazyGranules = 4096;
constexpr uint32_t kKnownFlags = IOVAD_DOMAIN_F_NO_CACHE | IOVAD_DOMAIN_F_DEBUG;

int bad_flags(uint32_t flags)
{
	IOVAD_LOG(ERR, "flags 0x%x: unknown ones among them; known are 0x%x", flags, kKnownFlags);
	return EINVAL;
}

// An enum from C may hold anything, which C++ must not read as one.
template <class Enum> int raw(const Enum &value)
{
	int number;
	static_assert(sizeof value == sizeof number);
	std::memcpy(&number, &value, sizeof number);
	return number;
}

int check_backend(const iovad_domain_conf &conf)
{
	switch (raw(conf.backend)) {
	case IOVAD_BACKEND_NONE:
	case IOVAD_BACKEND_SOFT:
	case IOVAD_BACKEND_VFIO:
		return 0;
	}
	IOVAD_LOG(ERR, "backend %d is unknown", raw(conf.backend));
	return EINVAL;
}

// reach: what the backend can address, or null: then any address will do.
int check_window(const iovad_domain_conf &conf, const dma::Info *reach, core::Geometry &geometry)
{
	const uint64_t page = std::max(reach ? reach->page_sizes & -reach->page_sizes : 0, kDefaultGranule);
	const uint64_t granule = conf.granule ? conf.granule : page;
	if (!std::has_single_bit(granule) || granule < page || granule > kLargestGranule) {
		IOVAD_LOG(ERR, "granule %" PRIu64 ": must be a power of two from %" PRIu64 " to 1 GiB", granule, page);
		return EINVAL;
	}
	uint64_t last = conf.iova_last ? conf.iova_last : kDefaultLast;
	if (reach) {
		const uint64_t furthest = reach->valid.empty() ? 0 : reach->valid.back().last;
		if (conf.iova_last > furthest) {
			IOVAD_LOG(ERR, "iova_last 0x%" PRIx64 ": devices reach no further than 0x%" PRIx64
				  "; 0 means as far as that", last, furthest);
			return EINVAL;
		}
		last = conf.iova_last ? conf.iova_last : furthest;
	}
	geometry = core::Geometry::of(granule, conf.iova_first, last);
	if (conf.iova_first > last || geometry.first >= geometry.end) {
		IOVAD_LOG(ERR, "window 0x%" PRIx64 " - 0x%" PRIx64 " holds no whole granule of %" PRIu64
			  " bytes (address 0 is never handed out)", conf.iova_first, last, granule);
		return EINVAL;
	}
	return 0;
}

}  // namespace

// Every EAL lcore may keep a few magazines of both zones; the rest is for the depot and those who
// come later.
uint32_t magazines_for(unsigned lcores) { return 64 + 24 * (lcores < 8 ? 8 : lcores); }

int check_name(const char *name)
{
	if (!name || !*name) {
		IOVAD_LOG(ERR, "a domain needs a name");
		return EINVAL;
	}
	if (std::strlen(name) > IOVAD_NAME_MAX) {
		IOVAD_LOG(ERR, "name '%s' is longer than %d characters", name, IOVAD_NAME_MAX);
		return ENAMETOOLONG;
	}
	for (const char *c = name; *c; ++c) {
		if (!std::isalnum(static_cast<unsigned char>(*c)) && !std::strchr("_-.", *c)) {
			IOVAD_LOG(ERR, "name '%s': only letters, digits, '_', '-' and '.'", name);
			return EINVAL;
		}
	}
	return 0;
}

int check_conf(const iovad_domain_conf &conf)
{
	if (conf.size != sizeof conf) {
		IOVAD_LOG(ERR, "conf.size is %zu, this library knows %zu: call iovad_domain_conf_init(), "
			  "build and run with the same version", conf.size, sizeof conf);
		return EINVAL;
	}
	if (const int error = check_name(conf.name))
		return error;
	if ((conf.flags & ~kKnownFlags) != 0)
		return bad_flags(conf.flags);
	if (const int error = check_backend(conf))
		return error;
	if (raw(conf.unmap_policy) != IOVAD_UNMAP_STRICT && raw(conf.unmap_policy) != IOVAD_UNMAP_LAZY) {
		IOVAD_LOG(ERR, "unmap_policy %d is unknown", raw(conf.unmap_policy));
		return EINVAL;
	}
	if (conf.lazy_max_age_us != 0 && (conf.lazy_max_age_us < kLeastAgeUs || conf.lazy_max_age_us > kMostAgeUs)) {
		IOVAD_LOG(ERR, "lazy_max_age_us %" PRIu64 ": must be from %" PRIu64 " to %" PRIu64 ", or 0 for %" PRIu64,
			  conf.lazy_max_age_us, kLeastAgeUs, kMostAgeUs, kDefaultAgeUs);
		return EINVAL;
	}
	if (conf.max_ranges > kMostRanges) {
		IOVAD_LOG(ERR, "max_ranges %" PRIu64 " exceeds %" PRIu64, conf.max_ranges, kMostRanges);
		return EINVAL;
	}
	if (conf.cache_percent > kMostCachePercent) {
		IOVAD_LOG(ERR, "cache_percent %u exceeds %u", conf.cache_percent, kMostCachePercent);
		return EINVAL;
	}
	return 0;
}

int complete_conf(const iovad_domain_conf &conf, const dma::Info *reach, core::DomainConfig &out)
{
	if (const int error = check_window(conf, reach, out.geometry))
		return error;
	out.max_ranges = conf.max_ranges ? conf.max_ranges : kDefaultRanges;
	out.caches = RTE_MAX_LCORE + RTE_MAX_LCORE / 2;  // more than one process's lcores
	out.magazines = magazines_for(rte_lcore_count());
	out.cache_percent = conf.cache_percent ? conf.cache_percent : kDefaultCachePercent;
	out.cached = (conf.flags & (IOVAD_DOMAIN_F_NO_CACHE | IOVAD_DOMAIN_F_DEBUG)) == 0;
	if (out.cached && !core::asymmetric_fence::enable()) {
		IOVAD_LOG(WARNING, "%s: the kernel refuses membarrier(2), without which caches cannot be "
			  "reclaimed: every request goes to the tree", conf.name);
		out.cached = false;
	}
	return 0;
}

int complete_bounds(const iovad_domain_conf &conf, const core::Geometry &geometry, LazyBounds &out)
{
	if (conf.lazy_max_bytes != 0 && conf.lazy_max_bytes < geometry.granule) {
		IOVAD_LOG(ERR, "lazy_max_bytes %" PRIu64 ": must be at least a granule, %" PRIu64 " bytes, or 0 for the default",
			  conf.lazy_max_bytes, geometry.granule);
		return EINVAL;
	}
	out.max_age_us = conf.lazy_max_age_us ? conf.lazy_max_age_us : kDefaultAgeUs;
	out.max_bytes = conf.lazy_max_bytes ? conf.lazy_max_bytes
					    : std::max(kDefaultLazyBytes, kDefaultLazyGranules * geometry.granule);
	return 0;
}

}  // namespace iovad::eal
