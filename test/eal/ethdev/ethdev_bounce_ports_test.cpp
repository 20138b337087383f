// SPDX-License-Identifier: BSD-3-Clause
// Ports that begin and cease to bounce what they send: while packets and headers are out, while queues
// are in use, when they are closed or removed; and wrong uses.
#include <rte_bus_vdev.h>

#include "../captured_log.h"
#include "bounce_packets.h"

namespace iovad::test {
namespace {

TEST_F(SendBounced, DisabledWhilePacketsAreInFlight)
{
	ASSERT_TRUE(port.send_one(segment(heap, "in flight")));
	EXPECT_EQ(0, iovad_ethdev_bounce_disable(port.id()));
	rte_mbuf *plain = segment(heap, "after");
	ASSERT_TRUE(port.send_one(plain));
	pool.destroy(-EBUSY);
	rte_mbuf *out = port.take_sent();
	EXPECT_EQ("in flight", read_by_device(domain, out));
	rte_pktmbuf_free(out);
	EXPECT_EQ(plain, port.take_sent());
	rte_pktmbuf_free(plain);
	enable();
	out = through(segment(heap, "again"));
	EXPECT_EQ("again", read_by_device(domain, out));
	rte_pktmbuf_free(out);
	EXPECT_EQ(1u, counted().tx_copied);
}

TEST_F(SendBounced, APortInUseKeepsThePool)
{
	pool.destroy(-EBUSY);
	port.close();
	BouncePool other(domain, kChunk);
	EXPECT_EQ(-ENODEV, iovad_ethdev_bounce_enable(port.id(), other));
	pool.destroy(0);
	new (&pool) BouncePool(domain, kPoolBytes);
}

TEST_F(SendBounced, ThePortOfANumberThatComesAgain)
{
	const uint16_t id = port.id();
	port.close();
	RingPort again(heap.get());
	ASSERT_EQ(id, again.id());
	rte_mbuf *m = segment(heap, "not enabled");
	ASSERT_TRUE(again.send_one(m));
	EXPECT_EQ(m, again.take_sent());
	ASSERT_EQ(0, iovad_ethdev_bounce_enable(id, pool));
	ASSERT_TRUE(again.send_one(m));
	rte_mbuf *out = again.take_sent();
	EXPECT_EQ("not enabled", read_by_device(domain, out));
	rte_pktmbuf_free(out);
	EXPECT_EQ(1u, counted().tx_copied);
	EXPECT_EQ(0u, counted().tx_passed);
}

unsigned header_pools()
{
	unsigned n = 0;
	rte_mempool_walk([](rte_mempool *pool, void *count) {
		*static_cast<unsigned *>(count) += std::strncmp(pool->name, "iovad_bounce_", 13) == 0;
	}, &n);
	return n;
}

TEST_F(SendBounced, HeadersGoWithThePort)
{
	rte_pktmbuf_free(through(segment(heap, "one")));
	poll_until([] { return header_pools() == 1; });  // of earlier tests
	EXPECT_EQ(0, iovad_ethdev_bounce_disable(port.id()));
	EXPECT_EQ(1u, header_pools());
	port.close();
	EXPECT_EQ(1u, header_pools()) << "who gave the last one back may still be inside that call";
	poll_until([] { return header_pools() == 0; });
}

// They stay while some are out, which the log counts once each.
TEST_F(SendBounced, HeadersThatAreOutStayUntilTheyAreFree)
{
	poll_until([] { return header_pools() == 1; });
	rte_mbuf *out = through(segment(heap, "out")), *cloned = through(segment(heap, "cloned"));
	rte_mbuf *clone = rte_pktmbuf_clone(cloned, heap.get());
	rte_pktmbuf_free(cloned);
	Log log;
	port.close();
	EXPECT_NE(std::string::npos, log.text().find(" 2 mbufs of iovad_bounce_")) << log.text();
	RingPort other(heap.get());
	const auto look = [&] {
		EXPECT_EQ(0, iovad_ethdev_bounce_enable(other.id(), pool));
		EXPECT_EQ(0, iovad_ethdev_bounce_disable(other.id()));
	};
	look();
	EXPECT_EQ(2u, header_pools());
	EXPECT_EQ("out", read_by_device(domain, out));
	rte_pktmbuf_free(out);
	look();
	EXPECT_EQ(2u, header_pools());
	EXPECT_EQ("cloned", read_by_device(domain, clone));
	rte_pktmbuf_free(clone);
	poll_until([&] {
		look();
		return header_pools() == 1;
	});
	other.close();
	poll_until([] { return header_pools() == 0; });
}

// What one lcore sends. Its packets are in a pool of its own: those waiting for a lock of DPDK's would wait
// for who has lost its CPU.
struct Sender {
	RingPort *port;
	uint16_t queue;
	AtWork *at_work;
	Mempool packets = heap_pool(63);
	unsigned wrong = 0;

	static int work(void *sender)
	{
		static_cast<Sender *>(sender)->send();
		static_cast<Sender *>(sender)->at_work->is_done();
		return 0;
	}
	void send()
	{
		const std::string name = "queue " + std::to_string(queue) + ", packet ";
		for (unsigned i = 0; at_work->goes_on(); ++i) {
			std::vector<rte_mbuf *> one{segment(packets, name + std::to_string(i))};
			while (port->send(one, queue) == 0)
				std::this_thread::yield();
			rte_mbuf *out = port->take_sent(queue);
			wrong += !out || text_of(out) != name + std::to_string(i);
			rte_pktmbuf_free(out);
		}
	}
};

// Others go on while one lcore switches it off and on, and changes which packets are copied.
TEST(EnableBounce, WhileQueuesAreInUse)
{
	TestDomain domain(soft_conf());
	BouncePool pool(domain, 16 * kChunk);
	Mempool heap = heap_pool();
	RingPort port(heap.get(), rte_lcore_count());
	AtWork at_work;
	std::vector<Sender> senders;
	senders.reserve(rte_lcore_count());
	unsigned lcore;
	RTE_LCORE_FOREACH_WORKER(lcore) {
		senders.push_back({&port, static_cast<uint16_t>(senders.size()), &at_work});
		ASSERT_EQ(0, rte_eal_remote_launch(Sender::work, &senders.back(), lcore));
	}
	unsigned times = 0;
	poll_until([&] {
		EXPECT_EQ(0, iovad_ethdev_bounce_enable(port.id(), pool));
		EXPECT_EQ(0, iovad_ethdev_bounce_copy_max(port.id(), times % 2 ? 0 : UINT32_MAX));
		std::this_thread::yield();
		EXPECT_EQ(0, iovad_ethdev_bounce_copy_max(port.id(), UINT32_MAX));
		EXPECT_EQ(0, iovad_ethdev_bounce_disable(port.id()));
		return ++times >= 300 && pool.stats().maps >= 1000;
	});
	at_work.end(senders.size());
	for (const Sender &s : senders) {
		EXPECT_EQ(0u, s.wrong);
		EXPECT_EQ(63u, free_mbufs(s.packets));
	}
	EXPECT_EQ(0u, pool.stats().used_bytes);
}

TEST_F(BouncePackets, WrongUses)
{
	iovad_ethdev_bounce_stats s;
	constexpr uint16_t kNone = RTE_MAX_ETHPORTS;
	EXPECT_EQ(-EINVAL, iovad_ethdev_bounce_enable(port.id(), nullptr));
	EXPECT_EQ(-ENODEV, iovad_ethdev_bounce_enable(kNone, pool));
	EXPECT_EQ(-ENODEV, iovad_ethdev_bounce_enable(kNone - 1, pool));
	EXPECT_EQ(-ENODEV, iovad_ethdev_bounce_disable(kNone));
	EXPECT_EQ(-ENOENT, iovad_ethdev_bounce_disable(port.id()));
	EXPECT_EQ(-ENOENT, iovad_ethdev_bounce_copy_max(port.id(), 0));
	EXPECT_EQ(-ENODEV, iovad_ethdev_bounce_copy_max(kNone, 0));
	EXPECT_EQ(-ENODEV, iovad_ethdev_bounce_stats_get(kNone, &s));
	EXPECT_EQ(-EINVAL, iovad_ethdev_bounce_stats_get(port.id(), nullptr));
	enable();
	EXPECT_EQ(-EBUSY, iovad_ethdev_bounce_enable(port.id(), pool));
	EXPECT_EQ(0, iovad_ethdev_bounce_disable(port.id()));
	EXPECT_EQ(-ENOENT, iovad_ethdev_bounce_disable(port.id()));
	EXPECT_EQ(-ENOENT, iovad_ethdev_bounce_copy_max(port.id(), 0));
	EXPECT_EQ(0, iovad_ethdev_bounce_stats_get(port.id(), &s));
}

// Unplugged, it no longer holds the pool.
TEST_F(BouncePackets, PortsThatAreRemoved)
{
	const std::string name = "net_null_" + unique_name();
	ASSERT_EQ(0, rte_vdev_init(name.c_str(), ""));
	uint16_t id;
	ASSERT_EQ(0, rte_eth_dev_get_port_by_name(name.c_str(), &id));
	const rte_eth_conf conf{};
	ASSERT_EQ(0, rte_eth_dev_configure(id, 1, 1, &conf));
	EXPECT_EQ(0, iovad_ethdev_bounce_enable(id, pool));
	pool.destroy(-EBUSY);
	EXPECT_EQ(0, rte_vdev_uninit(name.c_str()));
	EXPECT_EQ(-ENODEV, iovad_ethdev_bounce_disable(id));
}

}  // namespace
}  // namespace iovad::test
