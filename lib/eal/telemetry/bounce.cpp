// SPDX-License-Identifier: BSD-3-Clause
// /iovad/bounce,POOL: what a pool is, every counter of struct iovad_bounce_stats under its name, and
// what the control lcore and the caches of its slots do.
#include <iterator>

#include "eal/telemetry/telemetry.h"

namespace iovad::eal {

namespace {

struct Counter {
	const char *name;
	uint64_t iovad_bounce_stats::*value;
};

#define COUNTER(name) Counter{#name, &iovad_bounce_stats::name}
constexpr Counter kCounters[] = {
	COUNTER(size_bytes), COUNTER(used_bytes), COUNTER(hiwater_bytes), COUNTER(transient_bytes), COUNTER(maps), COUNTER(misses),
	COUNTER(copied_in_bytes), COUNTER(copied_out_bytes), COUNTER(grows), COUNTER(shrinks),
};
#undef COUNTER
static_assert(std::size(kCounters) * sizeof(uint64_t) == sizeof(iovad_bounce_stats), "a counter is missing");

}  // namespace

void tell_bounce(iovad_bounce_pool &p, Answer &answer)
{
	const core::BounceConfig &config = p.state.config;
	answer.text("name", p.name.c_str());
	answer.text("domain", p.domain.shared->name);
	answer.number("first", config.base);
	answer.number("max_bytes", config.bytes);
	answer.number("initial_bytes", p.upkeep.initial_chunks() * core::kChunkBytes);
	answer.texts("flags", [&p](auto add) {
		if (p.flags & IOVAD_BOUNCE_F_TRANSIENT)
			add("transient");
	});
	const iovad_bounce_stats s = read_bounce_stats(p);
	for (const Counter &counter : kCounters)
		answer.number(counter.name, s.*counter.value);
	const core::BounceStats more = p.slots.stats();
	answer.number("unmaps", more.unmaps);
	answer.number("refused", more.refused);
	answer.number("out_bytes", more.out_bytes);
	answer.number("standby_bytes", more.standby_bytes);
	const core::DomainStats slots = p.slots.domain().stats();
	answer.number("cache_hits", slots.cache_hits);
	answer.number("depot_hits", slots.depot_hits);
	answer.number("tree_allocs", slots.tree_allocs);
	answer.number("reclaims", slots.reclaims);
}

}  // namespace iovad::eal
