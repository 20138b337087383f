// SPDX-License-Identifier: BSD-3-Clause
// Packets that are received through a bounce pool: the application gets copies, and all that the driver
// said of them.
#include "bounce_packets.h"

namespace iovad::test {
namespace {

rte_mempool *create(const char *name, iovad_bounce_pool *pool, rte_mempool *target, unsigned n = 256)
{
	return iovad_bounce_pktmbuf_pool_create(name, n, 0, pool, target);
}

class ReceiveBounced : public BouncePackets {
protected:
	void SetUp() override
	{
		enable();
		device.reset(create("device", pool, heap.get()));
		ASSERT_NE(nullptr, device) << rte_strerror(rte_errno);
	}
	// After it has come out of the driver.
	rte_mbuf *received(rte_mbuf *m)
	{
		port.arrive(m);
		return port.receive_one();
	}

	Mempool device;
};

TEST_F(ReceiveBounced, BuffersLieInThePoolAndMbufsDoNot)
{
	std::vector<rte_mbuf *> all(256);
	ASSERT_EQ(0, rte_pktmbuf_alloc_bulk(device.get(), all.data(), 256));
	for (const rte_mbuf *m : all) {
		EXPECT_EQ(m->buf_addr, iovad_iova2va(domain, rte_mbuf_iova_get(m), m->buf_len));
		EXPECT_EQ(RTE_MBUF_DEFAULT_BUF_SIZE, m->buf_len);
		EXPECT_EQ(RTE_BAD_IOVA, iovad_va2iova(domain, m, sizeof *m));
	}
	rte_pktmbuf_free_bulk(all.data(), 256);
	EXPECT_EQ(256u, free_mbufs(device));
	EXPECT_GE(pool.stats().used_bytes, 256u * RTE_MBUF_DEFAULT_BUF_SIZE);
	pool.destroy(-EBUSY);
	device.reset();
	EXPECT_EQ(0u, pool.stats().used_bytes);
}

TEST_F(ReceiveBounced, TheApplicationGetsACopy)
{
	rte_mbuf *m = segment(device, "from the wire");
	const char *seen = rte_pktmbuf_mtod(m, const char *);
	rte_mbuf *out = received(m);
	ASSERT_NE(nullptr, out);
	EXPECT_EQ(heap.get(), out->pool);
	EXPECT_NE(seen, rte_pktmbuf_mtod(out, const char *));
	EXPECT_EQ("from the wire", text_of(out));
	EXPECT_EQ(256u, free_mbufs(device));
	EXPECT_EQ(1u, counted().rx_copied);
	EXPECT_EQ(13u, counted().rx_copied_bytes);
	rte_pktmbuf_free(out);
}

TEST_F(ReceiveBounced, WhatTheDriverSaidIsKept)
{
	const rte_mbuf_dynfield field{.name = "iovad_test_rx", .size = 8, .align = 8, .flags = 0};
	const int offset = rte_mbuf_dynfield_register(&field);
	ASSERT_GE(offset, 0);
	rte_mbuf *m = segment(device, "payload");
	m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	m->packet_type = RTE_PTYPE_L3_IPV6;
	m->hash.rss = 0x1234;
	m->vlan_tci = 7;
	m->vlan_tci_outer = 8;
	m->timesync = 9;
	m->port = port.id();
	*RTE_MBUF_DYNFIELD(m, offset, uint64_t *) = 99;
	rte_pktmbuf_adj(m, 3);
	const uint16_t data_off = m->data_off;
	rte_mbuf *out = received(m);
	ASSERT_NE(nullptr, out);
	EXPECT_EQ(RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_RX_IP_CKSUM_GOOD, out->ol_flags);
	EXPECT_EQ(uint32_t{RTE_PTYPE_L3_IPV6}, out->packet_type);
	EXPECT_EQ(0x1234u, out->hash.rss);
	EXPECT_EQ(7, out->vlan_tci);
	EXPECT_EQ(8, out->vlan_tci_outer);
	EXPECT_EQ(9, out->timesync);
	EXPECT_EQ(port.id(), out->port);
	EXPECT_EQ(99u, *RTE_MBUF_DYNFIELD(out, offset, uint64_t *));
	EXPECT_EQ(data_off, out->data_off);
	EXPECT_EQ("load", text_of(out));
	rte_pktmbuf_free(out);
}

TEST_F(ReceiveBounced, Chains)
{
	const std::string full(RTE_MBUF_DEFAULT_DATAROOM, 'f');
	rte_mbuf *out = received(chain(device, {full, full, "end"}));
	ASSERT_NE(nullptr, out);
	EXPECT_EQ(3, out->nb_segs);
	EXPECT_EQ(2 * full.size() + 3, out->pkt_len);
	EXPECT_EQ(full + full + "end", text_of(out));
	const char *why;
	EXPECT_EQ(0, rte_mbuf_check(out, 1, &why)) << why;
	rte_pktmbuf_free(out);
}

// As with buffer split, where the head is the application's own.
TEST_F(ReceiveBounced, ChainsThatEndInThePool)
{
	rte_mbuf *m = segment(heap, "head, ");
	ASSERT_EQ(0, rte_pktmbuf_chain(m, segment(device, "tail")));
	rte_mbuf *out = received(m);
	ASSERT_NE(nullptr, out);
	EXPECT_EQ("head, tail", text_of(out));
	EXPECT_EQ(heap.get(), out->next->pool);
	EXPECT_EQ(256u, free_mbufs(device));
	rte_pktmbuf_free(out);
}

TEST_F(ReceiveBounced, OtherPoolsPass)
{
	rte_mbuf *m = segment(heap, "the application's");
	EXPECT_EQ(m, received(m));
	EXPECT_EQ(1u, counted().rx_passed);
	rte_pktmbuf_free(m);
}

TEST_F(ReceiveBounced, ALengthBeyondTheBufferIsNotBelieved)
{
	for (const uint16_t len : {RTE_MBUF_DEFAULT_BUF_SIZE - RTE_PKTMBUF_HEADROOM + 1, 65535}) {
		rte_mbuf *m = segment(device, "lie");
		m->data_len = len;
		m->pkt_len = len;
		EXPECT_EQ(nullptr, received(m));
	}
	EXPECT_EQ(2u, counted().rx_dropped_length);
	EXPECT_EQ(0u, counted().rx_copied);
	EXPECT_EQ(256u, free_mbufs(device));
}

TEST_F(ReceiveBounced, WithoutMbufsOfTheTargetItIsDroppedAndCounted)
{
	Mempool target = heap_pool(3);
	Mempool small(create("small", pool, target.get(), 8));
	ASSERT_NE(nullptr, small);
	std::vector<rte_mbuf *> out(3);
	port.arrive(chain(small, {"a", "b"}));
	port.arrive(chain(small, {"c", "d"}));
	port.arrive(segment(small, "e"));
	ASSERT_EQ(2, rte_eth_rx_burst(port.id(), 0, out.data(), 3));
	EXPECT_EQ("ab", text_of(out[0]));
	EXPECT_EQ("e", text_of(out[1]));
	EXPECT_EQ(1u, counted().rx_dropped_nombuf);
	EXPECT_EQ(8u, free_mbufs(small));
	rte_pktmbuf_free_bulk(out.data(), 2);
	EXPECT_EQ(3u, free_mbufs(target));
}

// The next pool may have its address.
TEST_F(ReceiveBounced, PoolsComeAndGo)
{
	for (int i = 0; i < 3; ++i) {
		rte_mbuf *out = received(segment(device, "bounced"));
		ASSERT_NE(nullptr, out);
		EXPECT_EQ(heap.get(), out->pool);
		rte_pktmbuf_free(out);
		device.reset();
		Mempool plain = heap_pool(255);
		rte_mbuf *m = segment(plain, "plain");
		EXPECT_EQ(m, received(m));
		rte_pktmbuf_free(m);
		plain.reset();
		device.reset(create("device", pool, heap.get()));
		ASSERT_NE(nullptr, device);
	}
}

// More than a queue remembers, in turn and in one chain.
TEST_F(ReceiveBounced, ManyPools)
{
	std::vector<Mempool> targets, pools;
	for (unsigned i = 0; i < 7; ++i) {
		targets.push_back(heap_pool(15));
		pools.emplace_back(create(unique_name().c_str(), pool, targets.back().get(), 4));
		ASSERT_NE(nullptr, pools.back());
	}
	for (const unsigned step : {1, 2, 3}) {
		for (unsigned i = 0; i < 50; ++i) {
			const unsigned which = i * step % 7;
			rte_mbuf *out = received(segment(pools[which], "bounced"));
			ASSERT_NE(nullptr, out);
			EXPECT_EQ(targets[which].get(), out->pool);
			rte_pktmbuf_free(out);
			rte_mbuf *m = segment(heap, "not");
			EXPECT_EQ(m, received(m));
			rte_pktmbuf_free(m);
		}
	}
	EXPECT_EQ(150u, counted().rx_copied);
	EXPECT_EQ(150u, counted().rx_passed);
}

// What one lcore receives, of a pool of its own.
struct Receiver {
	RingPort *port;
	uint16_t queue;
	Mempool target, device;
	AtWork *at_work;
	uint64_t copied = 0, passed = 0, wrong = 0;

	static int work(void *receiver)
	{
		static_cast<Receiver *>(receiver)->receive();
		static_cast<Receiver *>(receiver)->at_work->is_done();
		return 0;
	}
	void receive()
	{
		const std::string name = "queue " + std::to_string(queue) + ", packet ";
		for (unsigned i = 0; at_work->goes_on(); ++i) {
			port->arrive(segment(device, name + std::to_string(i)), queue);
			rte_mbuf *out = port->receive_one(queue);
			wrong += !out || text_of(out) != name + std::to_string(i);
			++(out && out->pool == target.get() ? copied : passed);
			rte_pktmbuf_free(out);
		}
	}
};

// Others go on while one lcore switches it off and on, and pools come and go. Once it is off the pool's memory is nobody's: packets
// that were being copied then have been.
TEST(ReceiveBounce, WhileQueuesAreInUse)
{
	TestDomain domain(soft_conf());
	BouncePool pool(domain, 17 * kChunk);
	Mempool heap = heap_pool();
	RingPort port(heap.get(), rte_lcore_count());
	AtWork at_work;
	std::vector<Receiver> receivers;
	receivers.reserve(rte_lcore_count());
	unsigned lcore;
	RTE_LCORE_FOREACH_WORKER(lcore) {
		Mempool target = heap_pool(63);
		Mempool device(create(unique_name().c_str(), pool, target.get(), 63));
		ASSERT_NE(nullptr, device);
		receivers.push_back({&port, static_cast<uint16_t>(receivers.size()), std::move(target), std::move(device), &at_work});
		ASSERT_EQ(0, rte_eal_remote_launch(Receiver::work, &receivers.back(), lcore));
	}
	uint64_t copied = 0;
	unsigned times = 0;
	poll_until([&] {
		EXPECT_EQ(0, iovad_ethdev_bounce_enable(port.id(), pool));
		// What queues remember of pools is looked up anew.
		EXPECT_NE(nullptr, Mempool(create(unique_name().c_str(), pool, heap.get(), 4)));
		EXPECT_EQ(0, iovad_ethdev_bounce_disable(port.id()));
		iovad_ethdev_bounce_stats s;
		EXPECT_EQ(0, iovad_ethdev_bounce_stats_get(port.id(), &s));
		copied += s.rx_copied;
		return ++times >= 300 && copied >= 1000;
	});
	at_work.end(receivers.size());
	uint64_t received = 0;
	for (const Receiver &r : receivers) {
		EXPECT_EQ(0u, r.wrong);
		EXPECT_EQ(63u, free_mbufs(r.target));
		EXPECT_EQ(63u, free_mbufs(r.device));
		received += r.copied;
	}
	EXPECT_EQ(copied, received);
}

// What is sent on goes through the pool again.
TEST_F(ReceiveBounced, Forwarding)
{
	rte_mbuf *m = received(segment(device, "to and fro"));
	ASSERT_NE(nullptr, m);
	rte_mbuf *out = through(m);
	EXPECT_EQ("to and fro", read_by_device(domain, out));
	EXPECT_EQ(1u, counted().tx_copied);
	rte_pktmbuf_free(out);
}

TEST_F(BouncePackets, PoolsOfAnySize)
{
	for (const uint16_t room : {129, 256, 2048, 9216, 65408}) {
		Mempool target = heap_pool(7, room);
		ASSERT_NE(nullptr, target);
		Mempool packets(create("packets", pool, target.get(), 33));
		ASSERT_NE(nullptr, packets) << room << ": " << rte_strerror(rte_errno);
		EXPECT_EQ(33u, free_mbufs(packets));
		EXPECT_EQ(room, rte_pktmbuf_data_room_size(packets.get()));
	}
	EXPECT_EQ(0u, pool.stats().used_bytes);
}

TEST_F(BouncePackets, PoolsThatCannotBe)
{
	const auto refused = [&](int error, const char *name, iovad_bounce_pool *p, rte_mempool *target, unsigned n) {
		rte_errno = 0;
		EXPECT_EQ(nullptr, create(name, p, target, n));
		EXPECT_EQ(error, rte_errno);
		EXPECT_EQ(0u, pool.stats().used_bytes);
	};
	refused(EINVAL, nullptr, pool, heap.get(), 8);
	refused(EINVAL, "packets", nullptr, heap.get(), 8);
	refused(EINVAL, "packets", pool, nullptr, 8);
	refused(EINVAL, "packets", pool, heap.get(), 0);
	Mempool no_room = heap_pool(7, RTE_PKTMBUF_HEADROOM);
	refused(EINVAL, "packets", pool, no_room.get(), 8);
	Mempool no_packets(rte_mempool_create("no packets", 7, 128, 0, 0, nullptr, nullptr, nullptr, nullptr, SOCKET_ID_ANY, 0));
	refused(EINVAL, "packets", pool, no_packets.get(), 8);
	// It is as large as it will ever be.
	refused(ENOSPC, "packets", pool, heap.get(), kPoolBytes / RTE_MBUF_DEFAULT_BUF_SIZE + 1);
	Mempool first(create("packets", pool, heap.get(), 8));
	ASSERT_NE(nullptr, first);
	rte_errno = 0;
	EXPECT_EQ(nullptr, create("packets", pool, heap.get(), 8));
	EXPECT_EQ(EEXIST, rte_errno);
}

}  // namespace
}  // namespace iovad::test
