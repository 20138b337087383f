// SPDX-License-Identifier: BSD-3-Clause
// What `struct iovad_bounce_pool` is; its beginning and its end.
//
// A pool's control side (chunks, upkeep) is used by one thread at a time: by its creator, before it
// is in the list of registry.h; by the control lcore, while it is; by its destroyer, after it left the list.
//
// A pool that was destroyed while something could not be unmapped has departed: nobody finds it,
// and it stays in the list until the last of its chunks is gone.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/bounce/bounce_slots.h"
#include "eal/bounce/chunks.h"
#include "eal/bounce/upkeep.h"
#include "eal/domain/handle.h"
#include "iovad/iovad_bounce.h"

struct iovad_bounce_pool {
	iovad_bounce_pool(const iovad_bounce_conf &conf, iovad::core::BounceState *state,
			  std::unique_ptr<iovad::eal::DomainMemory> &memory, uint64_t initial_chunks);

	iovad::core::BounceSlots slots;  // first
	// A miss asks the control lcore to come at once, the next ones until its pass do not.
	std::atomic<bool> hurried = false;

	const std::string name;
	iovad_domain &domain;
	const iovad::core::BounceState &state;
	const uint32_t flags;
	std::unique_ptr<iovad::eal::DomainMemory> metadata;  // the state's, and what it gets later
	iovad::eal::BounceChunks chunks;
	iovad::eal::BounceUpkeep upkeep;
	void *lcore_callback = nullptr;
	bool departed = false;
	std::vector<uint16_t> ports;  // that use it
	iovad_bounce_pool *next = nullptr;
};

namespace iovad::eal {

// Null with rte_errno, and the reason in the log.
iovad_bounce_pool *create_bounce_pool(const iovad_bounce_conf &conf);
// 0 or a negative errno.
int destroy_bounce_pool(iovad_bounce_pool *pool);

// A port that uses a pool keeps it from being destroyed. -ENOMEM.
int hold_bounce_pool(iovad_bounce_pool &pool, uint16_t port);
void release_bounce_pool(iovad_bounce_pool &pool, uint16_t port);

iovad_bounce_stats read_bounce_stats(const iovad_bounce_pool &pool);

}  // namespace iovad::eal
