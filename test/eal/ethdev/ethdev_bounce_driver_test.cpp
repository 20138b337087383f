// SPDX-License-Identifier: BSD-3-Clause
// Drivers that keep what was sent until they are asked for it, or for ever, and those that say how much they
// can keep. DPDK's own without hardware do none of that. So here net_ring's ring is what the driver
// keeps, and the calls of ethdev that tell of it come here (--wrap, see meson.build).
#include <algorithm>
#include <cerrno>

#include "../captured_log.h"
#include "bounce_packets.h"

namespace {

// Of all ports.
struct Driver {
	const iovad::test::RingPort *port = nullptr;  // whose packets can be asked for; null: none can
	unsigned at_once = ~0u;                       // so many
	void (*freed)(rte_mbuf *) = nullptr;          // is called before one is
	unsigned asked = 0, refused = 0;
	uint16_t descriptors = 0, most_descriptors = 0;  // 0: it does not say
	uint16_t mtu = RTE_ETHER_MTU;
} driver;

}  // namespace

extern "C" {

decltype(rte_eth_tx_done_cleanup) __real_rte_eth_tx_done_cleanup, __wrap_rte_eth_tx_done_cleanup;
decltype(rte_eth_tx_queue_info_get) __real_rte_eth_tx_queue_info_get, __wrap_rte_eth_tx_queue_info_get;
decltype(rte_eth_dev_info_get) __real_rte_eth_dev_info_get, __wrap_rte_eth_dev_info_get;
decltype(rte_eth_dev_get_mtu) __real_rte_eth_dev_get_mtu, __wrap_rte_eth_dev_get_mtu;

int __wrap_rte_eth_tx_done_cleanup(uint16_t port, uint16_t queue, uint32_t most)
{
	++driver.asked;
	if (!driver.port || driver.port->id() != port) {
		++driver.refused;
		return __real_rte_eth_tx_done_cleanup(port, queue, most);
	}
	int n = 0;
	for (const unsigned end = most ? std::min(most, driver.at_once) : driver.at_once; static_cast<unsigned>(n) < end; ++n) {
		rte_mbuf *m = driver.port->take_sent(queue);
		if (!m)
			break;
		if (driver.freed)
			driver.freed(m);
		rte_pktmbuf_free(m);
	}
	return n;
}
int __wrap_rte_eth_tx_queue_info_get(uint16_t port, uint16_t queue, rte_eth_txq_info *info)
{
	if (driver.descriptors == 0)
		return __real_rte_eth_tx_queue_info_get(port, queue, info);
	*info = {};
	info->nb_desc = driver.descriptors;
	return 0;
}
int __wrap_rte_eth_dev_info_get(uint16_t port, rte_eth_dev_info *info)
{
	const int error = __real_rte_eth_dev_info_get(port, info);
	if (driver.most_descriptors != 0)
		info->tx_desc_lim.nb_max = driver.most_descriptors;
	return error;
}
int __wrap_rte_eth_dev_get_mtu(uint16_t, uint16_t *mtu)
{
	*mtu = driver.mtu;
	return 0;
}

}  // extern "C"

namespace iovad::test {
namespace {

constexpr unsigned kSlots = kChunk / 2048;

// More descriptors than the pool has slots.
class KeepingDriver : public testing::Test {
protected:
	KeepingDriver() : domain(soft_conf()), pool(domain, kChunk), heap(heap_pool(4095)), port(heap.get(), 2, 2 * kSlots)
	{
		driver = {};
		next = 0;
		EXPECT_EQ(0, iovad_ethdev_bounce_enable(port.id(), pool));
	}
	~KeepingDriver() override
	{
		for (const unsigned queue : {0, 1}) {
			while (rte_mbuf *m = port.take_sent(queue))
				rte_pktmbuf_free(m);
		}
		driver = {};
		EXPECT_EQ(0, iovad_ethdev_bounce_disable(port.id()));
		EXPECT_EQ(0u, pool.stats().used_bytes);
		EXPECT_EQ(4095u, free_mbufs(heap));
	}
	iovad_ethdev_bounce_stats counted() const
	{
		iovad_ethdev_bounce_stats s;
		EXPECT_EQ(0, iovad_ethdev_bounce_stats_get(port.id(), &s));
		return s;
	}
	// In bursts; ends with the first that cannot be sent at all. How many could.
	unsigned send(unsigned n, uint16_t queue = 0)
	{
		constexpr unsigned kBurst = 32;
		unsigned sent = 0;
		std::vector<rte_mbuf *> packets;
		while (sent < n) {
			while (packets.size() < std::min(kBurst, n - sent))
				packets.push_back(segment(heap, std::to_string(sent + packets.size())));
			const unsigned some = port.send(packets, queue);
			packets.erase(packets.begin(), packets.begin() + some);
			sent += some;
			if (some == 0)
				break;
		}
		rte_pktmbuf_free_bulk(packets.data(), static_cast<unsigned>(packets.size()));
		return sent;
	}
	static void in_order(rte_mbuf *m)
	{
		EXPECT_EQ(std::to_string(next++), text_of(m));
	}

	TestDomain domain;
	BouncePool pool;
	Mempool heap;
	RingPort port;
	static unsigned next;
};
unsigned KeepingDriver::next;

TEST_F(KeepingDriver, IsAskedWhenNoSlotIsLeft)
{
	driver.port = &port;
	driver.freed = in_order;
	EXPECT_EQ(3 * kSlots, send(3 * kSlots));
	EXPECT_EQ(2u, driver.asked);
	EXPECT_EQ(2 * kSlots, next);
	EXPECT_EQ(3u * kSlots, counted().tx_copied);
	EXPECT_EQ(0u, counted().tx_waits);
	// Not before.
	while (rte_mbuf *m = port.take_sent())
		rte_pktmbuf_free(m);
	EXPECT_EQ(kSlots, send(kSlots));
	EXPECT_EQ(2u, driver.asked);
}

TEST_F(KeepingDriver, OneThatFreesOneAtATimeIsEnough)
{
	driver.port = &port;
	driver.at_once = 1;
	driver.freed = in_order;
	EXPECT_EQ(kSlots + 100, send(kSlots + 100));
	EXPECT_EQ(100u, driver.asked);
	EXPECT_EQ(100u, next);
}

// What another queue keeps this one's thread must not ask for.
TEST_F(KeepingDriver, OnlyOfItsOwnQueue)
{
	driver.port = &port;
	ASSERT_EQ(kSlots, send(kSlots, 1));
	EXPECT_EQ(0u, send(10, 0));
	EXPECT_EQ(1u, driver.asked);
	EXPECT_EQ(10u, counted().tx_held_back);
	EXPECT_EQ(10u, send(10, 1));
}

// It works again once the driver frees some of its own accord.
TEST_F(KeepingDriver, ThatCannotBeAskedLeavesTheRestToTheCaller)
{
	EXPECT_EQ(kSlots, send(kSlots + 10));
	EXPECT_GT(driver.refused, 0u);
	EXPECT_EQ(0u, send(10));
	EXPECT_EQ(kSlots, counted().tx_copied);
	for (unsigned i = 0; i < 10; ++i)
		rte_pktmbuf_free(port.take_sent());
	EXPECT_EQ(10u, send(10));
}

// A chain whose first segment gets the last slot is sent once there is another.
TEST_F(KeepingDriver, ChainsToo)
{
	driver.port = &port;
	driver.at_once = 1;
	ASSERT_EQ(kSlots - 1, send(kSlots - 1));
	ASSERT_TRUE(port.send_one(chain(heap, {"head, ", "tail"})));
	EXPECT_EQ(1u, driver.asked);
	rte_mbuf *last = nullptr;
	for (rte_mbuf *m = port.take_sent(); m; m = port.take_sent()) {
		rte_pktmbuf_free(last);
		last = m;
	}
	EXPECT_EQ("head, tail", read_by_device(domain, last));
	rte_pktmbuf_free(last);
}

class SayingDriver : public BouncePackets {
protected:
	static constexpr uint16_t kMost = kPoolBytes / 2048;

	SayingDriver() { driver = {}; }
	~SayingDriver() override { driver = {}; }
	// And what the log says.
	std::string try_to_enable(int expected, const RingPort &which)
	{
		Log log;
		EXPECT_EQ(expected, iovad_ethdev_bounce_enable(which.id(), pool));
		EXPECT_EQ(expected == 0 ? 0 : -ENOENT, iovad_ethdev_bounce_disable(which.id()));
		return log.text();
	}
	std::string try_to_enable(int expected) { return try_to_enable(expected, port); }
};

TEST_F(SayingDriver, MoreThanThePoolCanEverServeIsRefused)
{
	driver.descriptors = kMost;
	EXPECT_EQ("", try_to_enable(0));
	driver.descriptors = kMost + 1;
	const std::string said = try_to_enable(-ENOSPC);
	EXPECT_NE(std::string::npos, said.find("4097 segments")) << said;
	EXPECT_NE(std::string::npos, said.find("8194 KiB")) << said;
	EXPECT_NE(std::string::npos, said.find("max_bytes")) << said;
	// Slots of 16 KiB.
	driver.descriptors = kMost / 8;
	driver.mtu = 9000;
	EXPECT_EQ("", try_to_enable(0));
	driver.descriptors = kMost / 8 + 1;
	try_to_enable(-ENOSPC);
}

// Packets that are received, and other ports, have slots of the pool, too.
TEST_F(SayingDriver, LessOthersWant)
{
	driver.descriptors = kMost / 2;
	RingPort other(heap.get());
	{
		Mempool device(iovad_bounce_pktmbuf_pool_create("device", kMost / 2 + 1, 0, pool, heap.get()));
		ASSERT_NE(nullptr, device);
		try_to_enable(-ENOSPC);
	}
	ASSERT_EQ(0, iovad_ethdev_bounce_enable(other.id(), pool));
	EXPECT_EQ("", try_to_enable(0));
	driver.descriptors = kMost / 2 + 1;
	try_to_enable(-ENOSPC);
	EXPECT_EQ(0, iovad_ethdev_bounce_disable(other.id()));
	EXPECT_EQ("", try_to_enable(0));
}

TEST_F(SayingDriver, WhereItDoesNotTheLogWarns)
{
	RingPort two(heap.get(), 2);
	EXPECT_EQ("", try_to_enable(0, port));
	EXPECT_NE(std::string::npos, try_to_enable(0, two).find("does not say how many"));
	driver.most_descriptors = 512;
	EXPECT_EQ("", try_to_enable(0, two));
}

}  // namespace

// It grows on the control lcore, and nobody is that here.
TEST(GrowingPool, WithoutAControlLcoreTheLogWarns)
{
	driver = {};
	driver.descriptors = 2 * kSlots;
	TestDomain domain(soft_conf());
	BouncePool pool(domain, kChunk, 8 * kChunk);
	Mempool heap = heap_pool();
	RingPort port(heap.get());
	Log log;
	EXPECT_EQ(0, iovad_ethdev_bounce_enable(port.id(), pool));
	EXPECT_NE(std::string::npos, log.text().find("control lcore")) << log.text();
	EXPECT_EQ(0, iovad_ethdev_bounce_disable(port.id()));
	driver = {};
}

}  // namespace iovad::test
