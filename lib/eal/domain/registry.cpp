// SPDX-License-Identifier: BSD-3-Clause
#include "eal/domain/registry.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>

#include <rte_common.h>
#include <rte_eal.h>
#include <rte_errno.h>

#include "core/asymmetric_fence.h"
#include "eal/bounce/registry.h"
#include "eal/control/control.h"
#include "eal/domain/backend.h"
#include "eal/domain/conf.h"
#include "eal/domain/device.h"
#include "eal/domain/memzone.h"
#include "eal/domain/processes.h"
#include "eal/domain/start.h"
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
	const rte_memzone *zone = reserve_memzone(conf, config);
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
