// SPDX-License-Identifier: BSD-3-Clause
// What DPDK asks of a port.
#pragma once

#include <ethdev_driver.h>

#include "loop/port.h"

namespace iovad::loop {

const eth_dev_ops &ops();
uint16_t receive(void *queue, rte_mbuf **packets, uint16_t n);
uint16_t send(void *queue, rte_mbuf **packets, uint16_t n);

inline Port &port_of(const rte_eth_dev *dev) { return *static_cast<Port *>(dev->data->dev_private); }
// Frees what the driver has; DPDK frees the rest.
int close(rte_eth_dev *dev);

// xstats.cpp
int xstats_get(rte_eth_dev *dev, rte_eth_xstat *out, unsigned n);
int xstats_get_names(rte_eth_dev *dev, rte_eth_xstat_name *out, unsigned n);

}  // namespace iovad::loop
