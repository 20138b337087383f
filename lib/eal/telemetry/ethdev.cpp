// SPDX-License-Identifier: BSD-3-Clause
// /iovad/ethdev,PORT: the pool that a port's packets go through, and every counter of struct
// iovad_ethdev_bounce_stats under its name.
#include <iterator>

#include "eal/telemetry/telemetry.h"

namespace iovad::eal {

namespace {

struct Counter {
	const char *name;
	uint64_t iovad_ethdev_bounce_stats::*value;
};

#define COUNTER(name) Counter{#name, &iovad_ethdev_bounce_stats::name}
constexpr Counter kCounters[] = {
	COUNTER(tx_passed), COUNTER(tx_copied), COUNTER(tx_copied_bytes), COUNTER(tx_mapped), COUNTER(tx_mapped_bytes),
	COUNTER(tx_waits), COUNTER(tx_held_back), COUNTER(rx_passed), COUNTER(rx_copied), COUNTER(rx_copied_bytes),
	COUNTER(rx_dropped_nombuf), COUNTER(rx_dropped_length),
};
#undef COUNTER
static_assert(std::size(kCounters) * sizeof(uint64_t) == sizeof(iovad_ethdev_bounce_stats), "a counter is missing");

}  // namespace

void tell_ethdev(uint16_t port, const EthdevBounceReport &report, Answer &answer)
{
	answer.number("port", port);
	if (!report.pool.empty())
		answer.text("pool", report.pool.c_str());
	for (const Counter &counter : kCounters)
		answer.number(counter.name, report.stats.*counter.value);
}

}  // namespace iovad::eal
