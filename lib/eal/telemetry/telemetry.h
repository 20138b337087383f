// SPDX-License-Identifier: BSD-3-Clause
// What a process tells of its domains over DPDK's telemetry socket: doc/telemetry.md.
#pragma once

#include <cstdint>

#include "eal/bounce/pool.h"
#include "eal/domain/handle.h"
#include "eal/ethdev/bounce.h"
#include "eal/telemetry/answer.h"

namespace iovad::eal {

// The commands. Before EAL starts, as DPDK's own libraries do: so they are there in any program
// that has loaded this one.
void register_telemetry();

// Each answers one command about a domain, which stays while it does.
void tell_info(iovad_domain &domain, Answer &answer);
void tell_stats(iovad_domain &domain, Answer &answer);
// From this row on, as many as an answer has room for.
void tell_caches(iovad_domain &domain, unsigned first_row, Answer &answer);

inline constexpr unsigned kMostBuckets = 256;
void tell_map(iovad_domain &domain, unsigned buckets, Answer &answer);

void tell_debug(iovad_domain &domain, Answer &answer);
void tell_whatis(iovad_domain &domain, uint64_t address, Answer &answer);

void tell_bounce(iovad_bounce_pool &pool, Answer &answer);
void tell_ethdev(uint16_t port, const EthdevBounceReport &report, Answer &answer);

// About this process.
void tell_control(Answer &answer);

}  // namespace iovad::eal
