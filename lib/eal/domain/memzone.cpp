// SPDX-License-Identifier: BSD-3-Clause
#include "eal/domain/memzone.h"

#include <algorithm>
#include <cstdio>
#include <new>

#include <rte_common.h>
#include <rte_errno.h>

#include "core/clock.h"
#include "eal/domain/processes.h"
#include "eal/log/log.h"

namespace iovad::eal {

namespace {

struct Layout {
	size_t state, mappings, retired, bytes;
	uint32_t records;
	unsigned queues;  // of lcores

	Layout(const iovad_domain_conf &conf, const core::DomainConfig &config)
	{
		records = conf.backend == IOVAD_BACKEND_NONE
				  ? 0
				  : static_cast<uint32_t>(std::min<uint64_t>(config.max_ranges, kMostRecords));
		state = sizeof(SharedDomain);
		mappings = state + round_up(core::DomainState::bytes(config));
		retired = mappings + (records ? round_up(core::MappingTable::bytes(records)) : 0);
		queues = std::min(RTE_MAX_LCORE, int{kLaterLcores} + static_cast<int>(rte_lcore_count()));
		bytes = retired + (records ? core::RetireQueues::bytes(queues) : 0);
	}
	static size_t round_up(size_t n) { return (n + 63) & ~size_t{63}; }

	static constexpr uint64_t kMostRecords = uint64_t{1} << 30;
	static constexpr int kLaterLcores = 16;  // threads that register
};

}  // namespace

const rte_memzone *reserve_memzone(const iovad_domain_conf &conf, const core::DomainConfig &config)
{
	const size_t bytes = Layout(conf, config).bytes;
	const ZoneName name(conf.name);
	const rte_memzone *zone = rte_memzone_reserve_aligned(name.text, bytes, conf.socket_id,
							      RTE_MEMZONE_SIZE_HINT_ONLY | RTE_MEMZONE_2MB,
							      RTE_CACHE_LINE_SIZE);
	if (zone)
		return zone;
	if (rte_errno == EEXIST)
		IOVAD_LOG(ERR, "%s: a domain of this name exists", conf.name);
	else
		IOVAD_LOG(ERR, "%s: no memzone of %zu KiB on socket %d (%s): give EAL more memory, or ask "
			  "for fewer max_ranges", conf.name, bytes >> 10, conf.socket_id,
			  rte_strerror(rte_errno));
	return nullptr;
}

void format_domain(const rte_memzone *zone, const iovad_domain_conf &conf, const core::DomainConfig &config,
		   const LazyBounds &bounds)
{
	const Layout layout(conf, config);
	auto *base = static_cast<std::byte *>(zone->addr);
	auto *shared = new (base) SharedDomain{};
	shared->bytes = layout.bytes;
	shared->flags = conf.flags;
	shared->unmap_policy = conf.unmap_policy;
	shared->backend = conf.backend;
	shared->lazy_max_age_us = bounds.max_age_us;
	shared->lazy_max_bytes = bounds.max_bytes;
	std::snprintf(shared->name, sizeof shared->name, "%s", conf.name);
	shared->state = core::DomainState::format(base + layout.state, config);
	if (layout.records == 0)
		return;
	shared->mappings = core::MappingTable::format(base + layout.mappings, layout.records, config.geometry);
	shared->retired = core::RetireQueues::format(base + layout.retired, layout.queues,
						     std::max<uint64_t>(config.geometry.pfn(bounds.max_bytes), 1),
						     bounds.max_age_us * core::kMicrosecond);
}

}  // namespace iovad::eal
