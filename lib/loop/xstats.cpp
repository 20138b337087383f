// SPDX-License-Identifier: BSD-3-Clause
#include <cstdio>
#include <iterator>

#include "loop/ops.h"

namespace iovad::loop {

namespace {

constexpr unsigned index(Misuse misuse) { return static_cast<unsigned>(misuse); }

constexpr struct {
	const char *name;
	uint64_t (*read)(const Totals &t);
} kRows[] = {
	{"rx_fault_not_mapped", [](const Totals &t) { return t.rx_misuse[index(Misuse::not_mapped)]; }},
	{"rx_fault_direction", [](const Totals &t) { return t.rx_misuse[index(Misuse::direction)]; }},
	{"rx_fault_crosses_end", [](const Totals &t) { return t.rx_misuse[index(Misuse::crosses_end)]; }},
	{"tx_fault_not_mapped", [](const Totals &t) { return t.tx_misuse[index(Misuse::not_mapped)]; }},
	{"tx_fault_direction", [](const Totals &t) { return t.tx_misuse[index(Misuse::direction)]; }},
	{"tx_fault_crosses_end", [](const Totals &t) { return t.tx_misuse[index(Misuse::crosses_end)]; }},
	{"rx_dropped_fault", [](const Totals &t) { return t.rx_refused; }},
	{"rx_dropped_too_long", [](const Totals &t) { return t.rx_too_long; }},
	{"tx_dropped_fault", [](const Totals &t) { return t.tx_refused; }},
	{"tx_dropped_no_peer", [](const Totals &t) { return t.tx_no_peer; }},
	{"tx_dropped_too_many_segments", [](const Totals &t) { return t.tx_too_many; }},
};
constexpr unsigned kCount = std::size(kRows);

}  // namespace

int xstats_get(rte_eth_dev *dev, rte_eth_xstat *out, unsigned n)
{
	if (n < kCount || !out)
		return kCount;
	const Totals totals = port_of(dev).totals();
	for (unsigned i = 0; i < kCount; ++i)
		out[i] = {i, kRows[i].read(totals)};
	return kCount;
}

int xstats_get_names(rte_eth_dev *, rte_eth_xstat_name *out, unsigned n)
{
	if (n < kCount || !out)
		return kCount;
	for (unsigned i = 0; i < kCount; ++i)
		std::snprintf(out[i].name, sizeof out[i].name, "%s", kRows[i].name);
	return kCount;
}

}  // namespace iovad::loop
