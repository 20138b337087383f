// SPDX-License-Identifier: BSD-3-Clause
// What `struct iovad_domain` is: one process's handle to a domain in a memzone.
#pragma once

#include <atomic>
#include <type_traits>

#include <rte_lcore.h>
#include <rte_memzone.h>

#include "core/domain.h"
#include "iovad/iovad.h"

static_assert(RTE_MAX_LCORE <= iovad::core::kMaxLcores && LCORE_ID_ANY == iovad::core::kNoLcore);

namespace iovad::eal {

// At the front of the memzone.
struct alignas(64) SharedDomain {
	// "iovad-", the layout of what programs inline, the layout of the rest.
	static constexpr uint64_t kMagic = 0x696f7661642d0001 + (IOVAD_HOT_LAYOUT << 8);
	static constexpr unsigned kMaxProcesses = 64;

	uint64_t magic;
	uint64_t bytes;
	char name[IOVAD_NAME_MAX + 1];
	uint32_t flags;
	core::SpinLock processes_lock;
	uint32_t processes[kMaxProcesses];  // pids of those attached, 0: free
	core::DomainState *state;
};

}  // namespace iovad::eal

struct iovad_domain {
	iovad_domain(const rte_memzone *zone, iovad::eal::SharedDomain *domain, uint32_t pid)
		: core(domain->state, pid), memzone(zone), shared(domain)
	{
	}

	iovad::core::Domain core;  // first
	const rte_memzone *memzone;
	iovad::eal::SharedDomain *shared;
	void *lcore_callback = nullptr;
	iovad_domain *next = nullptr;  // in this process's list
};

// Inlined code in programs reads Domain::hot_ at its front.
static_assert(std::is_standard_layout_v<iovad_domain>);
