// SPDX-License-Identifier: BSD-3-Clause
// Packets that arrive, as they were sent; and that every mbuf comes back.
#include "loop_ports.h"

namespace iovad::test {
namespace {

TEST_F(LoopTest, WhatIsSentComesBack)
{
	LoopPort port(domain, pool);
	for (const std::string &text : {std::string("a packet"), long_text(1500), long_text(60)}) {
		ASSERT_TRUE(port.send(segment(pool, text)));
		rte_mbuf *m = port.receive();
		ASSERT_NE(nullptr, m);
		EXPECT_EQ(port.id(), m->port);
		EXPECT_EQ(text, take_text(m));
	}
	EXPECT_EQ("nothing", port.receive_text());
	const rte_eth_stats s = port.stats();
	EXPECT_EQ(3u, s.ipackets);
	EXPECT_EQ(3u, s.opackets);
	EXPECT_EQ(1568u, s.ibytes);
	EXPECT_EQ(1568u, s.obytes);
	EXPECT_EQ(0u, s.ierrors + s.oerrors + s.imissed + port.faults());
}

TEST_F(LoopTest, ThePacketIsACopyInWhatWasPosted)
{
	Mempool sent = pool_in(domain);
	LoopPort port(domain, pool);
	ASSERT_TRUE(port.send(segment(sent, "a packet")));
	rte_mbuf *m = port.receive();
	ASSERT_NE(nullptr, m);
	EXPECT_EQ(pool.get(), m->pool);
	EXPECT_EQ("a packet", take_text(m));
}

TEST_F(LoopTest, EmptySegmentsAndPacketsPass)
{
	LoopPort port(domain, pool);
	ASSERT_TRUE(port.send(chain(pool, {"", "one", "", "two", ""})));
	EXPECT_EQ("onetwo", port.receive_text());
	ASSERT_TRUE(port.send(segment(pool, "")));
	EXPECT_EQ("", port.receive_text());
	EXPECT_EQ(0u, port.faults());
}

TEST_F(LoopTest, ChainsAreGatheredAndScattered)
{
	Mempool small = pool_in(domain, RTE_PKTMBUF_HEADROOM + 128);
	LoopPort port(domain, small, {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER});
	for (const size_t bytes : {1u, 127u, 128u, 129u, 256u, 1000u, 5000u}) {
		const std::string text = long_text(bytes);
		const size_t cut = bytes / 3;
		ASSERT_TRUE(port.send(chain(pool, {text.substr(0, cut), text.substr(cut, cut), text.substr(2 * cut)})));
		rte_mbuf *m = port.receive();
		ASSERT_NE(nullptr, m) << bytes;
		EXPECT_EQ((bytes + 127) / 128, m->nb_segs);
		EXPECT_EQ(text, take_text(m));
	}
	EXPECT_EQ(0u, port.faults());
}

TEST_F(LoopTest, WhatIsLongerThanABufferIsDroppedWithoutScatter)
{
	Mempool small = pool_in(domain, RTE_PKTMBUF_HEADROOM + 128);
	LoopPort port(domain, small);
	ASSERT_TRUE(port.send(segment(pool, long_text(129))));
	EXPECT_EQ("nothing", port.receive_text());
	EXPECT_EQ(1u, port.counted("rx_dropped_too_long"));
	EXPECT_EQ(1u, port.stats().ierrors);
	ASSERT_TRUE(port.send(segment(pool, long_text(128))));
	EXPECT_EQ(long_text(128), port.receive_text());
}

TEST_F(LoopTest, MoreSegmentsThanDescriptorsAreDropped)
{
	LoopPort port(domain, pool, {.tx_descriptors = 32});
	ASSERT_TRUE(port.send(chain(pool, std::vector<std::string>(33, "x"))));
	EXPECT_EQ("nothing", port.receive_text());
	EXPECT_EQ(1u, port.counted("tx_dropped_too_many_segments"));
	ASSERT_TRUE(port.send(chain(pool, std::vector<std::string>(32, "x"))));
	EXPECT_EQ(std::string(32, 'x'), port.receive_text());
}

TEST_F(LoopTest, ExternalBuffersTravel)
{
	Pages pages;
	const rte_iova_t iova = map(domain, pages.at(0), kPage, IOVAD_TO_DEVICE);
	LoopPort port(domain, pool);
	std::memcpy(pages.at(0), "outside", 7);
	ASSERT_TRUE(port.send(pages.attach(pool, iova, 7)));
	EXPECT_EQ("outside", port.receive_text());
	port.clean_up();
	EXPECT_EQ(0, iovad_unmap(domain, iova, kPage));
	EXPECT_EQ(0u, port.faults());
}

TEST_F(LoopTest, PortsArePeersInTurn)
{
	const std::string a_name = unique_port(), b_name = unique_port();
	LoopPort a(domain, pool, {}, ",peer=" + b_name, a_name);
	// Nobody listens yet.
	ASSERT_TRUE(a.send(segment(pool, "too early")));
	EXPECT_EQ(1u, a.counted("tx_dropped_no_peer"));
	{
		LoopPort b(domain, pool, {}, ",peer=" + a_name, b_name);
		ASSERT_TRUE(a.send(segment(pool, "there")));
		ASSERT_TRUE(b.send(segment(pool, "and back")));
		EXPECT_EQ("there", b.receive_text());
		EXPECT_EQ("and back", a.receive_text());
		EXPECT_EQ("nothing", b.receive_text());
	}
	ASSERT_TRUE(a.send(segment(pool, "too late")));
	EXPECT_EQ(2u, a.counted("tx_dropped_no_peer"));
	EXPECT_EQ("nothing", a.receive_text());
}

// Each port's memory is in its own domain: addresses of one mean nothing in the other.
TEST_F(LoopTest, PeersMayHaveDomainsOfTheirOwn)
{
	iovad_domain_conf conf = soft_conf();
	conf.iova_last = k4GiB - 1;
	TestDomain other(conf);
	Mempool far = pool_in(other);
	const std::string name = unique_port();
	LoopPort b(other, far, {}, "", name);
	LoopPort a(domain, pool, {}, ",peer=" + name);
	ASSERT_TRUE(a.send(segment(pool, "abroad")));
	EXPECT_EQ("abroad", b.receive_text());
	EXPECT_EQ(0u, a.faults() + b.faults());
	ASSERT_TRUE(a.send(segment(far, "from a stranger")));
	EXPECT_EQ(1u, a.counted("tx_fault_not_mapped"));
	b.clean_up();
	a.clean_up();
}

TEST_F(LoopTest, EachQueueHasItsOwn)
{
	LoopPort port(domain, pool, {.queues = 3});
	for (uint16_t q = 0; q < 3; ++q)
		ASSERT_TRUE(port.send(segment(pool, std::to_string(q)), q));
	for (uint16_t q = 0; q < 3; ++q) {
		EXPECT_EQ(std::to_string(q), port.receive_text(q));
		EXPECT_EQ("nothing", port.receive_text(q));
	}
}

TEST_F(LoopTest, WithoutDescriptorsPacketsAreMissed)
{
	Mempool sent = pool_in(domain);
	LoopPort port(domain, pool, {.rx_descriptors = 32});
	for (int i = 0; i < 40; ++i)
		ASSERT_TRUE(port.send(segment(sent, std::to_string(i))));
	for (int i = 0; i < 32; ++i)
		EXPECT_EQ(std::to_string(i), port.receive_text());
	EXPECT_EQ("nothing", port.receive_text());
	EXPECT_EQ(8u, port.stats().imissed);
	// And it goes on.
	ASSERT_TRUE(port.send(segment(sent, "next")));
	EXPECT_EQ("next", port.receive_text());
}

// As drivers do: some at a time, when so many are done.
TEST_F(LoopTest, WhatIsSentIsFreedLater)
{
	Mempool sent = pool_in(domain);
	LoopPort port(domain, pool, {.tx_free = 8});
	for (unsigned i = 1; i < 8; ++i) {
		ASSERT_TRUE(port.send(segment(sent, "x")));
		EXPECT_EQ(kMbufs - i, free_mbufs(sent));
	}
	ASSERT_TRUE(port.send(segment(sent, "x")));
	EXPECT_EQ(kMbufs, free_mbufs(sent));
	ASSERT_TRUE(port.send(segment(sent, "x")));
	ASSERT_TRUE(port.send(chain(sent, {"x", "y"})));
	EXPECT_EQ(2, rte_eth_tx_done_cleanup(port.id(), 0, 0));
	EXPECT_EQ(kMbufs, free_mbufs(sent));
}

TEST_F(LoopTest, StoppedAndStartedItLosesNoMbuf)
{
	Mempool sent = pool_in(domain);
	LoopPort port(domain, pool, {}, ",delay=20");
	for (int round = 0; round < 3; ++round) {
		for (int i = 0; i < 30; ++i)
			ASSERT_TRUE(port.send(chain(sent, {"a", "b"})));
		EXPECT_EQ("ab", port.receive_text());
		port.stop();
		EXPECT_EQ(kMbufs, free_mbufs(pool));
		EXPECT_EQ(kMbufs, free_mbufs(sent));
		ASSERT_EQ(0, rte_eth_dev_start(port.id()));
		EXPECT_EQ("nothing", port.receive_text());
	}
	port.stop();
	port.set_up(pool, {.queues = 2});
	ASSERT_EQ(0, rte_eth_dev_start(port.id()));
	ASSERT_TRUE(port.send(segment(sent, "more"), 1));
	EXPECT_EQ(1, rte_eth_tx_done_cleanup(port.id(), 1, 0));
	EXPECT_EQ("more", port.receive_text(1));
}

TEST_F(LoopTest, UnpluggedWhileItIsStartedItLosesNoMbuf)
{
	const std::string name = unique_port();
	LoopPort sender(domain, pool, {}, ",peer=" + name);
	LoopPort receiver(domain, pool, {}, ",delay=9", name);
	ASSERT_TRUE(sender.send(segment(pool, "not taken")));
	ASSERT_TRUE(receiver.send(segment(pool, "not read")));
	receiver.unplug();
	ASSERT_TRUE(sender.send(segment(pool, "too late")));
	EXPECT_EQ(1u, sender.counted("tx_dropped_no_peer"));
	sender.unplug();
	EXPECT_EQ(kMbufs, free_mbufs(pool));
}

TEST_F(LoopTest, ADelayedPacketArrivesWhenOthersFollow)
{
	Mempool sent = pool_in(domain);
	LoopPort port(domain, pool, {}, ",delay=2");
	ASSERT_TRUE(port.send(segment(sent, "first")));
	ASSERT_TRUE(port.send(segment(sent, "second")));
	EXPECT_EQ("nothing", port.receive_text());
	ASSERT_TRUE(port.send(segment(sent, "third")));
	EXPECT_EQ("first", port.receive_text());
	EXPECT_EQ("nothing", port.receive_text());
	EXPECT_EQ(3, port.clean_up());
	EXPECT_EQ("second", port.receive_text());
	EXPECT_EQ("third", port.receive_text());
}

// As a descriptor has it, whatever becomes of the mbuf.
TEST_F(LoopTest, WhatIsReadLateIsWhereItWasWhenItWasSent)
{
	LoopPort port(domain, pool, {}, ",delay=8");
	rte_mbuf *m = segment(pool, "here");
	const rte_iova_t iova = rte_mbuf_iova_get(m);
	ASSERT_TRUE(port.send(m));
	rte_mbuf_iova_set(m, kPage);
	m->data_len = 1;
	port.clean_up();
	rte_mbuf_iova_set(m, iova);
	EXPECT_EQ("here", port.receive_text());
	EXPECT_EQ(0u, port.faults());
}

// However late it is: who has no descriptors left waits for it, not for ever.
TEST_F(LoopTest, ADelayBeyondTheRingStopsNothing)
{
	Mempool sent = pool_in(domain);
	LoopPort port(domain, pool, {.tx_descriptors = 32}, ",delay=4096");
	for (int i = 0; i < 50; ++i)
		ASSERT_TRUE(port.send(segment(sent, std::to_string(i))));
	for (int i = 0; i < 32; ++i)
		EXPECT_EQ(std::to_string(i), port.receive_text());
	EXPECT_EQ("nothing", port.receive_text());
}

TEST_F(LoopTest, WhatAPortSaysOfItself)
{
	LoopPort port(domain, pool, {.rx_descriptors = 128}, ",queues=5,mac=02:00:00:00:00:07");
	rte_eth_dev_info info;
	ASSERT_EQ(0, rte_eth_dev_info_get(port.id(), &info));
	EXPECT_EQ(5, info.max_rx_queues);
	EXPECT_EQ(5, info.max_tx_queues);
	rte_ether_addr mac;
	ASSERT_EQ(0, rte_eth_macaddr_get(port.id(), &mac));
	EXPECT_EQ(7, mac.addr_bytes[5]);
	rte_ether_addr other = {{2, 0, 0, 0, 0, 9}};
	EXPECT_EQ(0, rte_eth_dev_default_mac_addr_set(port.id(), &other));
	ASSERT_EQ(0, rte_eth_macaddr_get(port.id(), &mac));
	EXPECT_EQ(9, mac.addr_bytes[5]);
	rte_eth_link link;
	ASSERT_EQ(0, rte_eth_link_get_nowait(port.id(), &link));
	EXPECT_EQ(RTE_ETH_LINK_UP, link.link_status);
	rte_eth_rxq_info rx;
	ASSERT_EQ(0, rte_eth_rx_queue_info_get(port.id(), 0, &rx));
	EXPECT_EQ(128, rx.nb_desc);
	EXPECT_EQ(pool.get(), rx.mp);
	rte_eth_txq_info tx;
	ASSERT_EQ(0, rte_eth_tx_queue_info_get(port.id(), 0, &tx));
	EXPECT_EQ(64, tx.nb_desc);
	EXPECT_EQ(0, rte_eth_promiscuous_enable(port.id()));
	EXPECT_EQ(0, rte_eth_allmulticast_enable(port.id()));
	EXPECT_EQ(0, rte_eth_dev_set_mtu(port.id(), 9000));
	ASSERT_TRUE(port.send(segment(pool, "counted")));
	EXPECT_EQ("counted", port.receive_text());
	EXPECT_EQ(0, rte_eth_stats_reset(port.id()));
	EXPECT_EQ(0u, port.stats().ipackets + port.stats().opackets);
	port.stop();
	ASSERT_EQ(0, rte_eth_link_get_nowait(port.id(), &link));
	EXPECT_EQ(RTE_ETH_LINK_DOWN, link.link_status);
}

// Memory that no device reaches goes through a bounce pool, both ways.
TEST_F(LoopTest, HeapMemoryGoesThroughABouncePool)
{
	iovad_bounce_conf conf;
	ASSERT_EQ(0, iovad_bounce_conf_init(&conf));
	const std::string name = unique_name();
	conf.name = name.c_str();
	conf.domain = domain;
	conf.initial_bytes = conf.max_bytes = 8 << 20;
	iovad_bounce_pool *bounce = iovad_bounce_pool_create(&conf);
	ASSERT_NE(nullptr, bounce);
	{
		Mempool heap = heap_pool();
		Mempool posted(iovad_bounce_pktmbuf_pool_create(unique_name().c_str(), 255, 0, bounce, heap.get()));
		ASSERT_NE(nullptr, posted);
		LoopPort port(domain, posted);
		ASSERT_EQ(0, iovad_ethdev_bounce_enable(port.id(), bounce));
		for (int i = 0; i < 500; ++i) {
			const std::string text = long_text(60 + i);
			ASSERT_TRUE(port.send(chain(heap, {text, "", "and more"})));
			rte_mbuf *m = port.receive();
			ASSERT_NE(nullptr, m);
			EXPECT_EQ(heap.get(), m->pool);
			EXPECT_EQ(text + "and more", take_text(m));
		}
		EXPECT_EQ(0u, port.faults());
		iovad_ethdev_bounce_stats stats;
		ASSERT_EQ(0, iovad_ethdev_bounce_stats_get(port.id(), &stats));
		EXPECT_EQ(500u, stats.tx_copied);
		EXPECT_EQ(500u, stats.rx_copied);
		port.clean_up();
		EXPECT_EQ(0, iovad_ethdev_bounce_disable(port.id()));
	}
	EXPECT_EQ(0, iovad_bounce_pool_destroy(bounce));
}

}  // namespace
}  // namespace iovad::test
