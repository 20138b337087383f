// SPDX-License-Identifier: BSD-3-Clause
#include "eal/ethdev/demand.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>

#include <rte_ether.h>

#include "eal/bounce/pktmbuf_pool.h"
#include "eal/control/control.h"
#include "eal/log/log.h"

namespace iovad::eal {

namespace {

// Where a driver says neither how many descriptors a queue has nor how many it may have: as many as
// most devices allow at all.
constexpr uint32_t kMostDescriptors = 4096;
constexpr uint64_t kHeaderBytes = RTE_ETHER_HDR_LEN + 8;  // two VLAN tags

uint32_t most_descriptors(const rte_eth_dev_info &info)
{
	const uint32_t most = info.tx_desc_lim.nb_max;
	return most == 0 ? kMostDescriptors : std::min(most, kMostDescriptors);
}

uint64_t slot_of(uint16_t port)
{
	uint16_t mtu;
	if (rte_eth_dev_get_mtu(port, &mtu) != 0)
		mtu = RTE_ETHER_MTU;
	return std::max(core::kBounceGranule, rte_align64pow2(mtu + kHeaderBytes));
}

bool grows()
{
	const ControlReport r = control_report();
	return r.thread || r.service || r.poll;
}

}  // namespace

Demand demand_of(uint16_t port, const rte_eth_dev_info &info)
{
	Demand demand{.slot = slot_of(port)};
	for (uint16_t q = 0; q < info.nb_tx_queues; ++q) {
		rte_eth_txq_info queue;
		if (rte_eth_tx_queue_info_get(port, q, &queue) == 0 && queue.nb_desc != 0)
			demand.known += queue.nb_desc;
		else
			demand.assumed += most_descriptors(info);
	}
	return demand;
}

int check_slots(uint16_t port, const Demand &demand, const iovad_bounce_pool &pool, uint64_t promised)
{
	const uint64_t taken = promised + bounce_pktmbuf_bytes(pool);
	const auto left_of = [taken](uint64_t bytes) { return bytes - std::min(bytes, taken); };
	const uint64_t most = left_of(pool.state.config.bytes), now = left_of(pool.slots.stats().size_bytes);
	const auto kib = [](uint64_t bytes) { return bytes >> 10; };
	if (demand.known_bytes() > most) {
		IOVAD_LOG(ERR, "port %u: its transmit queues can hold %" PRIu32 " segments, slots for which are %" PRIu64 " KiB, and "
			  "bounce pool %s has %" PRIu64 " KiB for it at most: sending would stop for good where the driver frees "
			  "what was sent only when it wants the descriptors. Make the pool with more max_bytes, or set up the "
			  "queues with fewer descriptors", port, demand.known, kib(demand.known_bytes()), pool.name.c_str(),
			  kib(most));
		return -ENOSPC;
	}
	if (demand.bytes() > most)
		IOVAD_LOG(WARNING, "port %u: its driver does not say how many descriptors its transmit queues have; if they hold "
			  "more than %" PRIu64 " segments until they want the descriptors, bounce pool %s has too few slots, and "
			  "sending stops for good: make it with more max_bytes, %" PRIu64 " KiB for %" PRIu32 " segments", port,
			  most / demand.slot, pool.name.c_str(), kib(demand.bytes()), demand.segments());
	else if (demand.bytes() > now && !grows())
		IOVAD_LOG(WARNING, "port %u: its transmit queues may want %" PRIu64 " KiB of bounce pool %s, which has %" PRIu64 " KiB "
			  "for it now and grows on the control lcore only: run one, or make the pool with more initial_bytes, "
			  "or sending may stop for good", port, kib(demand.bytes()), pool.name.c_str(), kib(now));
	return 0;
}

}  // namespace iovad::eal
