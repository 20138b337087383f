// SPDX-License-Identifier: BSD-3-Clause
// What `struct iovad_domain` is: one process's handle to a domain in a memzone.
#pragma once

#include <atomic>
#include <type_traits>

#include <rte_lcore.h>
#include <rte_memzone.h>

#include "core/domain.h"
#include "core/mapping_table.h"
#include "core/retire_queue.h"
#include "dma/mapper.h"
#include "eal/debug/checker.h"
#include "eal/debug/memory_watch.h"
#include "eal/domain/eal_memory.h"
#include "eal/domain/log.h"
#include "eal/domain/memory.h"
#include "eal/domain/upkeep.h"
#include "iovad/iovad.h"

static_assert(RTE_MAX_LCORE <= iovad::core::kMaxLcores && LCORE_ID_ANY == iovad::core::kNoLcore);

namespace iovad::eal {

// At the front of the memzone.
struct alignas(64) SharedDomain {
	// "iovad-", the layout of what programs inline, the layout of the rest.
	static constexpr uint64_t kMagic = 0x696f7661642d0005 + (IOVAD_HOT_LAYOUT << 8);
	static constexpr unsigned kMaxProcesses = 64;

	uint64_t magic;
	uint64_t bytes;
	char name[IOVAD_NAME_MAX + 1];
	uint32_t flags;
	iovad_unmap_policy unmap_policy;
	iovad_backend backend;
	uint64_t lazy_max_age_us, lazy_max_bytes;
	core::SpinLock processes_lock;
	core::ProcessId processes[kMaxProcesses];  // attached, 0: free
	core::DomainState *state;
	core::MappingTable *mappings;  // null without a backend
	core::RetireQueues *retired;   // likewise
};

}  // namespace iovad::eal

struct iovad_domain {
	iovad_domain(const rte_memzone *zone, iovad::eal::SharedDomain *domain)
		: core(domain->state, iovad::core::this_process()), memzone(zone), shared(domain), mappings(domain->mappings),
		  log(domain->name)
	{
	}

	iovad::core::Domain core;  // first
	const rte_memzone *memzone;
	iovad::eal::SharedDomain *shared;
	iovad::core::MappingTable *mappings;  // null without a backend
	void *lcore_callback = nullptr;
	iovad::eal::DomainLog log;
	iovad_domain *next = nullptr;  // in this process's list
	// In debug mode. The latter where memory is mapped.
	std::unique_ptr<iovad::eal::debug::Checker> checker;
	std::unique_ptr<iovad::eal::debug::MemoryWatch> memory_watch;

	// Of the process that created the domain.
	std::unique_ptr<iovad::eal::DomainMemory> memory;
	iovad::eal::CoreUpkeep upkeep;
	// And with a backend.
	int container_fd = -1;  // VFIO
	std::unique_ptr<iovad::dma::Mapper> mapper;
	std::unique_ptr<iovad::eal::EalMemory> eal_memory;
};

// Inlined code in programs reads Domain::hot_ at its front.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
static_assert(offsetof(iovad_domain, core) == 0);
#pragma GCC diagnostic pop
