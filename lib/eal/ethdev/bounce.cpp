// SPDX-License-Identifier: BSD-3-Clause
#include "eal/ethdev/bounce.h"

#include <array>
#include <cerrno>
#include <memory>
#include <mutex>
#include <new>

#include "core/clock.h"
#include "eal/dpdk_versions.h"
#include "eal/ethdev/port.h"

namespace iovad::eal {

namespace {

constexpr uint64_t kLookNs = 100 * core::kMillisecond;

std::mutex mutex;
// Of this process, by number, once they were enabled. Never destroyed: when the process ends, its
// lcores may still use them.
auto &ports = *new std::array<std::unique_ptr<BouncePort>, RTE_MAX_ETHPORTS>;

// 0, or why there is none to use. With the mutex held.
int find(uint16_t id, BouncePort *&out)
{
	if (!rte_eth_dev_is_valid_port(id))
		return -ENODEV;
	out = ports[id].get();
	return out ? 0 : -ENOENT;
}

int find_enabled(uint16_t id, BouncePort *&out)
{
	const int error = find(id, out);
	return error == 0 && !out->enabled() ? -ENOENT : error;
}

int find_counted(uint16_t id, BouncePort *&out)
{
	const int error = find(id, out);
	return error == 0 && !out->has_stats() ? -ENOENT : error;
}

// What other ports want of a pool.
uint64_t promised(const iovad_bounce_pool &pool)
{
	uint64_t bytes = 0;
	for (const auto &port : ports)
		bytes += port ? port->wants(pool) : 0;
	return bytes;
}

// Of all ports, also those that are gone. With the mutex held.
void free_idle(uint64_t now = core::now_ns())
{
	for (const auto &port : ports) {
		if (port)
			port->free_idle(now);
	}
}

// The driver has closed it.
int on_destroy(uint16_t id, rte_eth_event_type, void *, void *)
{
	const std::lock_guard guard(mutex);
	if (ports[id])
		ports[id]->close();
	free_idle();
	return 0;
}

}  // namespace

int enable_ethdev_bounce(uint16_t id, iovad_bounce_pool &pool)
try {
	if (!kMbufsHoldIova)
		return -ENOTSUP;
	const std::lock_guard guard(mutex);
	free_idle();
	BouncePort *port = nullptr;
	const int error = find(id, port);
	if (error == -ENODEV)
		return error;
	if (!port)
		port = (ports[id] = std::make_unique<BouncePort>(id)).get();
	if (port->enabled())
		return -EBUSY;
	port->forget_stats();
	// Registering twice is once.
	if (rte_eth_dev_callback_register(id, RTE_ETH_EVENT_DESTROY, on_destroy, nullptr) != 0)
		return -ENOMEM;
	return port->enable(pool, promised(pool));
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

int disable_ethdev_bounce(uint16_t id)
{
	const std::lock_guard guard(mutex);
	BouncePort *port;
	const int error = find_enabled(id, port);
	if (error == 0)
		port->disable();
	free_idle();
	return error;
}

void serve_ethdev_bounce(uint64_t now)
{
	static uint64_t due;
	const std::unique_lock guard(mutex, std::try_to_lock);
	if (!guard || now < due)
		return;
	due = now + kLookNs;
	free_idle(now);
}

int set_ethdev_bounce_copy_max(uint16_t id, uint32_t bytes)
{
	const std::lock_guard guard(mutex);
	BouncePort *port;
	const int error = find_enabled(id, port);
	if (error == 0)
		port->set_copy_max(bytes);
	return error;
}

int read_ethdev_bounce_stats(uint16_t id, iovad_ethdev_bounce_stats &out)
{
	const std::lock_guard guard(mutex);
	BouncePort *port;
	const int error = find_counted(id, port);
	if (error == 0)
		out = port->stats();
	return error;
}

int report_ethdev_bounce(uint16_t id, EthdevBounceReport &out)
try {
	const std::lock_guard guard(mutex);
	BouncePort *port;
	const int error = find_counted(id, port);
	if (error == 0)
		out = {port->pool_name(), port->stats()};
	return error;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

void for_each_bounced_port(const std::function<void(uint16_t)> &use)
{
	const std::lock_guard guard(mutex);
	for (uint16_t id = 0; id < ports.size(); ++id) {
		if (ports[id] && ports[id]->has_stats())
			use(id);
	}
}

}  // namespace iovad::eal
