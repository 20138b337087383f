// SPDX-License-Identifier: BSD-3-Clause
// Ports that send and receive through a bounce pool: see iovad_ethdev.h. 0 or a negative errno.
#pragma once

#include <functional>
#include <string>

#include "iovad/iovad_ethdev.h"

namespace iovad::eal {

int enable_ethdev_bounce(uint16_t port, iovad_bounce_pool &pool);
int disable_ethdev_bounce(uint16_t port);
int set_ethdev_bounce_copy_max(uint16_t port, uint32_t bytes);
int read_ethdev_bounce_stats(uint16_t port, iovad_ethdev_bounce_stats &out);

// For passes of the control lcore: every 100 ms what was left is freed, where it is idle. Without the lock of
// domains: mempool drivers that want it are called.
void serve_ethdev_bounce(uint64_t now_ns);

struct EthdevBounceReport {
	std::string pool;  // empty: disabled
	iovad_ethdev_bounce_stats stats;
};
int report_ethdev_bounce(uint16_t port, EthdevBounceReport &out);
// Those that have counters. `use` must not call anything of these.
void for_each_bounced_port(const std::function<void(uint16_t)> &use);

}  // namespace iovad::eal
