// SPDX-License-Identifier: BSD-3-Clause
#include "eal/domain/registry.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>

#include <rte_common.h>
#include <rte_eal.h>
#include <rte_errno.h>

#include "core/asymmetric_fence.h"
#include "core/clock.h"
#include "eal/bounce/registry.h"
#include "eal/control/control.h"
#include "eal/control/idle_cpus.h"
#include "eal/domain/backend.h"
#include "eal/domain/conf.h"
#include "eal/domain/device.h"
#include "eal/domain/mapping.h"
#include "eal/domain/processes.h"
#include "eal/log/log.h"
#include "eal/log/trace_points.h"
#include "eal/telemetry/telemetry.h"

namespace iovad::eal {

namespace {

std::mutex handles_mutex;
iovad_domain *handles;  // of this process; changed with DomainsInUse, too

// An lcore that goes away, an EAL thread at the end or a registered one that
// unregisters, gives back what its cache held.
int lcore_comes(unsigned, void *) { return 0; }
void lcore_goes(unsigned lcore, void *domain)
{
	auto *d = static_cast<iovad_domain *>(domain);
	if (d->mapper)
		d->mapper->release_lcore(lcore);
	d->core.release_lcore(lcore);
}

iovad_domain *fail(int error)
{
	rte_errno = error;
	return nullptr;
}

// With handles_mutex held.
iovad_domain *find_handle(const char *name)
{
	for (iovad_domain *d = handles; d; d = d->next) {
		if (std::strcmp(d->shared->name, name) == 0)
			return d;
	}
	return nullptr;
}

// This process is in the domain's list. Null with rte_errno; the memzone is left alone.
iovad_domain *open_handle(const rte_memzone *zone, const debug::Settings &settings)
try {
	auto *shared = static_cast<SharedDomain *>(zone->addr);
	auto d = std::make_unique<iovad_domain>(zone, shared);
	if (shared->flags & IOVAD_DOMAIN_F_DEBUG)
		d->checker = std::make_unique<debug::Checker>(shared->name, d->core, d->mappings, settings);
	d->lcore_callback = rte_lcore_callback_register(zone->name, lcore_comes, lcore_goes, d.get());
	if (!d->lcore_callback) {
		IOVAD_LOG(ERR, "%s: no memory for the callback of lcores", shared->name);
		return fail(ENOMEM);
	}
	return d.release();
} catch (const std::bad_alloc &) {
	return fail(ENOMEM);
}

// Of a handle that is not in the list.
void close_handle(iovad_domain *d)
{
	rte_lcore_callback_unregister(d->lcore_callback);
	SharedDomain &shared = *d->shared;
	// The tree's nodes may lie there: until the caches were given back.
	const std::unique_ptr<DomainMemory> memory = std::move(d->memory);
	delete d;
	remove_process(shared, this_process());
}

// With handles_mutex held.
void add_handle(iovad_domain *d, const DomainsInUse &)
{
	d->next = handles;
	handles = d;
}

// With handles_mutex held.
void remove_handle(iovad_domain *d, const DomainsInUse &)
{
	iovad_domain **link = &handles;
	while (*link != d)
		link = &(*link)->next;
	*link = d->next;
}

const rte_memzone *reserve_memzone(const iovad_domain_conf &conf, size_t bytes)
{
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

// Of a domain's memzone.
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

core::PageIndex::Table *take_tables(DomainMemory &memory, unsigned n)
{
	using Table = core::PageIndex::Table;
	return static_cast<Table *>(memory.take(n * sizeof(Table), alignof(Table)));
}

dma::Mapper::Policy policy_of(const iovad_domain_conf &conf)
{
	if (conf.flags & IOVAD_DOMAIN_F_DEBUG)
		return dma::Mapper::Policy::checked;
	return conf.unmap_policy == IOVAD_UNMAP_LAZY ? dma::Mapper::Policy::lazy : dma::Mapper::Policy::strict;
}

void tell_quarantined(iovad_domain &d, uint64_t iova, uint64_t len, unsigned tries, const dma::Outcome &o)
{
	d.log.quarantined(iova, len, tries, o);
	trace::quarantine(d.shared->name, iova, len, tries);
}

// What happens where no caller is told.
void tell_trouble(iovad_domain &d, dma::Trouble trouble, uint64_t iova, uint64_t len, const dma::Outcome &o)
{
	switch (trouble) {
	case dma::Trouble::unmap_failed: return tell_quarantined(d, iova, len, 1, o);
	case dma::Trouble::still_quarantined: return tell_quarantined(d, iova, len, dma::Quarantine::kTriesReported, o);
	case dma::Trouble::not_mapped: return d.log.bad_unmap(iova, len);
	case dma::Trouble::not_served: return d.log.unmapped_in_caller();
	}
}

// What devices cannot address, and what EAL uses, is kept out of circulation first.
int start_mapping(iovad_domain &d, const iovad_domain_conf &conf, OpenBackend open)
try {
	d.memory = std::make_unique<DomainMemory>(conf.socket_id);
	if (!open.backend)
		return 0;
	d.mapper = std::make_unique<dma::Mapper>(d.core, *d.mappings, *d.shared->retired, policy_of(conf),
						 std::move(open.backend),
						 [memory = d.memory.get()](unsigned n) { return take_tables(*memory, n); });
	d.mapper->set_helpers(cpus_without_lcores());
	d.mapper->set_report([&d](dma::Trouble trouble, uint64_t iova, uint64_t len, const dma::Outcome &o) {
		tell_trouble(d, trouble, iova, len, o);
	});
	d.mapper->set_watch([&d](unsigned ranges, unsigned calls, uint64_t bytes) {
		trace::retire(d.shared->name, ranges, calls, bytes);
	});
	if (d.checker) {
		d.mapper->set_gone([&d](uint64_t iova) { d.checker->gone(iova); });
		d.memory_watch = std::make_unique<debug::MemoryWatch>(d.shared->name, *d.checker);
	}
	d.container_fd = open.container_fd;
	if (const int error = refresh(d))
		return -error;
	if (!open.of_eal)
		return 0;
	d.eal_memory = std::make_unique<EalMemory>(d.core, *d.mappings, d.shared->name);
	return d.eal_memory->start();
} catch (const std::bad_alloc &) {
	return ENOMEM;
}

// With handles_mutex held. Two domains would hand out the same addresses of one container.
bool overlaps(const iovad_domain_conf &conf, const core::Geometry &g, int container_fd)
{
	for (const iovad_domain *d = handles; container_fd >= 0 && d; d = d->next) {
		const core::Geometry &other = d->core.geometry();
		if (d->container_fd != container_fd || g.first_byte() > other.last_byte() ||
		    other.first_byte() > g.last_byte())
			continue;
		IOVAD_LOG(ERR, "%s: domain %s has 0x%" PRIx64 " - 0x%" PRIx64 " of the same VFIO container: give each a "
			  "window of its own (iova_first, iova_last)", conf.name, d->shared->name, other.first_byte(),
			  other.last_byte());
		return true;
	}
	return false;
}

constexpr unsigned kLeaksShown = 8;

void log_live(const iovad_domain &d, uint64_t count)
{
	IOVAD_LOG(ERR, "%s: not destroyed, %" PRIu64 " ranges are live", d.shared->name, count);
	const core::Geometry &g = d.core.geometry();
	core::Extent e = d.core.space().next_live(g.first);
	for (unsigned i = 0; e.value != 0 && i < kLeaksShown; ++i) {
		const uint64_t iova = g.bytes(e.start), bytes = g.bytes(e.end - e.start);
		IOVAD_LOG(ERR, "%s:   0x%" PRIx64 ", %" PRIu64 " bytes", d.shared->name, iova, bytes);
		if (d.checker)
			d.checker->leaked(iova, bytes);
		e = d.core.space().next_live(e.end);
	}
}

}  // namespace

std::mutex DomainsInUse::mutex_;

iovad_domain *DomainsInUse::first() { return handles; }

iovad_domain *create_domain(const iovad_domain_conf &wanted)
{
	if (const int error = check_conf(wanted))
		return fail(error);
	debug::Settings settings;
	if (const int error = settings.read())
		return fail(error);
	iovad_domain_conf conf = wanted;
	conf.flags |= settings.on ? IOVAD_DOMAIN_F_DEBUG : 0;
	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		IOVAD_LOG(ERR, "%s: domains are created by the primary process; use iovad_domain_lookup()",
			  conf.name);
		return fail(E_RTE_SECONDARY);
	}
	OpenBackend open;
	if (const int error = open_backend(conf, open))
		return fail(error);
	core::DomainConfig config;
	if (const int error = complete_conf(conf, open.backend ? &open.info : nullptr, config))
		return fail(error);
	config.held_back = (conf.flags & IOVAD_DOMAIN_F_DEBUG) != 0 ? settings.quarantine : 0;
	LazyBounds bounds;
	if (const int error = complete_bounds(conf, config.geometry, bounds))
		return fail(error);
	std::lock_guard guard(handles_mutex);
	if (overlaps(conf, config.geometry, open.container_fd))
		return fail(EEXIST);
	const rte_memzone *zone = reserve_memzone(conf, Layout(conf, config).bytes);
	if (!zone)
		return nullptr;
	format_domain(zone, conf, config, bounds);
	add_process(*static_cast<SharedDomain *>(zone->addr), this_process());
	iovad_domain *d = open_handle(zone, settings);
	int error = d ? start_mapping(*d, conf, std::move(open)) : rte_errno;
	if (error != 0) {
		if (d)
			close_handle(d);
		rte_memzone_free(zone);
		return fail(error);
	}
	add_handle(d, DomainsInUse());
	control_hurry();
	SharedDomain *shared = d->shared;
	// Release: a secondary that sees the magic sees the domain behind it.
	std::atomic_ref(shared->magic).store(SharedDomain::kMagic, std::memory_order_release);
	const core::Geometry &g = config.geometry;
	IOVAD_LOG(INFO, "%s: 0x%" PRIx64 " - 0x%" PRIx64 ", granule %" PRIu64 ", %" PRIu64 " KiB, %s tree code, backend %s",
		  conf.name, g.first_byte(), g.last_byte(), g.granule, shared->bytes >> 10,
		  core::isa_name(core::current_isa()), d->mapper ? d->mapper->backend().name() : "none");
	trace::domain_create(conf.name, g.first_byte(), g.last_byte());
	return d;
}

iovad_domain *lookup_domain(const char *name)
{
	if (!name)
		return fail(EINVAL);
	if (std::strlen(name) > IOVAD_NAME_MAX)
		return fail(ENOENT);
	std::lock_guard guard(handles_mutex);
	if (iovad_domain *d = find_handle(name))
		return d;
	debug::Settings settings;
	if (const int error = settings.read())
		return fail(error);
	Attachment attachment(name);
	switch (attachment.error()) {
	case EPROTO: IOVAD_LOG(ERR, "%s: made by another version of iovad", name); break;
	case EAGAIN: IOVAD_LOG(ERR, "%s: %u processes are attached already", name, SharedDomain::kMaxProcesses); break;
	}
	if (attachment.error() != 0)
		return fail(attachment.error());
	if (attachment.shared().state->config.cached && !core::asymmetric_fence::enable()) {
		IOVAD_LOG(ERR, "%s: this process may not call membarrier(2), which the domain's caches need",
			  name);
		return fail(EPROTO);
	}
	iovad_domain *d = open_handle(attachment.zone(), settings);
	if (!d)
		return nullptr;
	attachment.keep();
	d->core.share();
	add_handle(d, DomainsInUse());
	return d;
}

int destroy_domain(iovad_domain *d)
{
	std::lock_guard guard(handles_mutex);
	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		remove_handle(d, DomainsInUse());
		close_handle(d);
		return 0;
	}
	Withdrawn withdrawn(*d->shared);
	if (const ProcessId other = other_process(*d->shared, this_process())) {
		IOVAD_LOG(ERR, "%s: not destroyed, process %u is attached", d->shared->name, core::pid_of(other));
		return -EBUSY;
	}
	if (has_devices(*d)) {
		IOVAD_LOG(ERR, "%s: not destroyed, devices of this process use it", d->shared->name);
		return -EBUSY;
	}
	if (d->checker)
		d->checker->look_at_memory();
	if (d->mapper)
		d->mapper->drain(rte_lcore_id());
	if (const int error = end_departed_pools(*d))
		return error;
	// A pass may have addresses in hand, which would look as if they were live.
	const DomainsInUse no_pass;
	d->core.reclaim();
	const core::AddressSpace::Totals totals = d->core.space().totals();
	if (totals.live_ranges != 0) {
		log_live(*d, totals.live_ranges);
		if (d->checker)
			d->checker->findings().count(debug::Finding::leak, totals.live_ranges - std::min<uint64_t>(totals.live_ranges, kLeaksShown));
		return -EBUSY;
	}
	if (totals.bad_frees != 0 && !d->checker)
		IOVAD_LOG(WARNING, "%s: %" PRIu64 " frees of what was not live; IOVAD_DOMAIN_F_DEBUG finds where",
			  d->shared->name, totals.bad_frees);
	trace::domain_destroy(d->shared->name);
	const rte_memzone *zone = d->memzone;
	remove_handle(d, no_pass);
	close_handle(d);
	withdrawn.for_good();
	rte_memzone_free(zone);
	return 0;
}

void for_each_domain(const UseDomain &use)
{
	std::lock_guard guard(handles_mutex);
	for (iovad_domain *d = handles; d; d = d->next)
		use(*d);
}

bool with_domain(const char *name, const UseDomain &use)
{
	std::lock_guard guard(handles_mutex);
	iovad_domain *d = find_handle(name);
	if (d)
		use(*d);
	return d != nullptr;
}

}  // namespace iovad::eal

// Here, and not beside the commands: from a static library only what is called comes along.
RTE_INIT(iovad_telemetry) { iovad::eal::register_telemetry(); }
