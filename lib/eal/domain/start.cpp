// SPDX-License-Identifier: BSD-3-Clause
#include "eal/domain/start.h"

#include <cerrno>
#include <memory>
#include <new>
#include <utility>

#include "eal/control/idle_cpus.h"
#include "eal/domain/mapping.h"
#include "eal/log/trace_points.h"

namespace iovad::eal {

namespace {

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

}  // namespace

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
	d.mapper->prepare();
	if (!open.of_eal)
		return 0;
	d.eal_memory = std::make_unique<EalMemory>(d.core, *d.mappings, d.shared->name);
	return d.eal_memory->start();
} catch (const std::bad_alloc &) {
	return ENOMEM;
}

}  // namespace iovad::eal
