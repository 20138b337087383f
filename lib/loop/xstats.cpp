// SPDX-License-Identifier: BSD-3-Clause
#include <cstdio>
#include <iterator>

#include "loop/ops.h"

namespace iovad::loop {

namespace {

constexpr unsigned of(unsigned first, Misuse misuse) { return first + static_cast<unsigned>(misuse); }

constexpr struct {
	const char *name;
	unsigned total;
} kRows[] = {
	{"rx_fault_not_mapped", of(kRxMisuse, Misuse::not_mapped)},
	{"rx_fault_direction", of(kRxMisuse, Misuse::direction)},
	{"rx_fault_crosses_end", of(kRxMisuse, Misuse::crosses_end)},
	{"tx_fault_not_mapped", of(kTxMisuse, Misuse::not_mapped)},
	{"tx_fault_direction", of(kTxMisuse, Misuse::direction)},
	{"tx_fault_crosses_end", of(kTxMisuse, Misuse::crosses_end)},
	{"rx_dropped_fault", kRxRefused},
	{"rx_dropped_too_long", kRxTooLong},
	{"tx_dropped_fault", kTxRefused},
	{"tx_dropped_no_peer", kTxNoPeer},
	{"tx_dropped_too_many_segments", kTxTooMany},
};
constexpr unsigned kCount = std::size(kRows);

}  // namespace

int xstats_get(rte_eth_dev *dev, rte_eth_xstat *out, unsigned n)
{
	if (n < kCount || !out)
		return kCount;
	const Totals totals = port_of(dev).totals();
	for (unsigned i = 0; i < kCount; ++i)
		out[i] = {i, totals[kRows[i].total]};
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
