// SPDX-License-Identifier: BSD-3-Clause
// Packets that are sent through a bounce pool: what is copied and what passes, what is kept, and that
// nothing is lost.
#include <atomic>
#include <thread>

#include "bounce_packets.h"

namespace iovad::test {
namespace {

TEST_F(SendBounced, HeapMbufsAreCopiedAndFreed)
{
	rte_mbuf *out = through(segment(heap, "from the heap"));
	EXPECT_EQ("from the heap", text_of(out));
	EXPECT_EQ("from the heap", read_by_device(domain, out));
	EXPECT_EQ(1023u, free_mbufs(heap));
	EXPECT_EQ(2048u, pool.stats().used_bytes);
	rte_pktmbuf_free(out);
	EXPECT_EQ(0u, pool.stats().used_bytes);
	EXPECT_EQ(1u, counted().tx_copied);
	EXPECT_EQ(13u, counted().tx_copied_bytes);
	EXPECT_EQ(0u, counted().tx_passed);
}

TEST_F(SendBounced, WhatIsMappedPassesUntouched)
{
	Mempool mapped(iovad_pktmbuf_pool_create("mapped", 64, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY, domain, kNoLimit));
	ASSERT_NE(nullptr, mapped);
	for (int i = 0; i < 3; ++i) {
		rte_mbuf *m = chain(mapped, {"one", "", "two"});
		EXPECT_EQ(m, through(m));
		EXPECT_EQ("onetwo", read_by_device(domain, m));
		rte_pktmbuf_free(m);
	}
	EXPECT_EQ(3u, counted().tx_passed);
	EXPECT_EQ(0u, pool.stats().maps);
}

// Nothing of it is read.
TEST_F(SendBounced, EmptyPacketsPass)
{
	rte_mbuf *m = segment(heap, "");
	EXPECT_EQ(m, through(m));
	rte_pktmbuf_free(m);
}

TEST_F(SendBounced, MappedAtAnotherAddressIsOutOfReach)
{
	ExternalBuffer buffer("here", 4096);
	rte_iova_t iova;
	ASSERT_EQ(0, iovad_region_add(domain, buffer.data(), 4096, kNoLimit, IOVAD_TO_DEVICE, &iova));
	rte_mbuf *m = buffer.attach(heap, 4), *out = through(m);
	EXPECT_NE(m, out);
	EXPECT_EQ("here", read_by_device(domain, out));
	rte_pktmbuf_free(out);
	m = buffer.attach(heap, 4);
	rte_mbuf_iova_set(m, iova);
	out = through(m);
	EXPECT_EQ(m, out);
	rte_pktmbuf_free(out);
	EXPECT_EQ(0, iovad_region_remove(domain, buffer.data(), 4096));
}

TEST_F(SendBounced, MappedForTheDeviceToWriteIsOutOfReach)
{
	ExternalBuffer buffer("here", 4096);
	rte_iova_t iova;
	ASSERT_EQ(0, iovad_region_add(domain, buffer.data(), 4096, kNoLimit, IOVAD_FROM_DEVICE, &iova));
	rte_mbuf *m = buffer.attach(heap, 4);
	rte_mbuf_iova_set(m, iova);
	rte_mbuf *out = through(m);
	EXPECT_NE(iova, rte_pktmbuf_iova(out));
	rte_pktmbuf_free(out);
	EXPECT_EQ(0, iovad_region_remove(domain, buffer.data(), 4096));
}

// What was found to be within reach is forgotten.
TEST_F(SendBounced, WhatWasUnmappedIsCopied)
{
	ExternalBuffer buffer("here", 4096);
	rte_iova_t iova;
	for (int i = 0; i < 3; ++i) {
		ASSERT_EQ(0, iovad_region_add(domain, buffer.data(), 4096, kNoLimit, IOVAD_TO_DEVICE, &iova));
		rte_mbuf *m = buffer.attach(heap, 4);
		rte_mbuf_iova_set(m, iova);
		rte_mbuf *out = through(m);
		EXPECT_EQ(m, out);
		EXPECT_EQ(0, iovad_region_remove(domain, buffer.data(), 4096));
		EXPECT_TRUE(port.send_one(out));
		EXPECT_NE(m, out = port.take_sent());
		EXPECT_EQ("here", read_by_device(domain, out));
		rte_pktmbuf_free(out);
	}
}

TEST_F(SendBounced, ChainsKeepTheirSegmentsButEmptyOnes)
{
	const std::string long_text(1800, 'x');
	rte_mbuf *out = through(chain(heap, {"head", "", long_text, "tail", ""}));
	EXPECT_EQ(3, out->nb_segs);
	EXPECT_EQ(1808u, out->pkt_len);
	EXPECT_EQ("head" + long_text + "tail", read_by_device(domain, out));
	const char *why;
	EXPECT_EQ(0, rte_mbuf_check(out, 1, &why)) << why;
	EXPECT_EQ(1023u, free_mbufs(heap));
	rte_pktmbuf_free(out);
}

TEST_F(SendBounced, ChainsWithOneSegmentOutOfReach)
{
	Mempool mapped(iovad_pktmbuf_pool_create("mapped", 64, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY, domain, kNoLimit));
	rte_mbuf *m = segment(mapped, "mapped, ");
	ASSERT_EQ(0, rte_pktmbuf_chain(m, segment(heap, "not mapped")));
	rte_mbuf *out = through(m);
	EXPECT_EQ("mapped, not mapped", read_by_device(domain, out));
	EXPECT_EQ(64u, free_mbufs(mapped));
	rte_pktmbuf_free(out);
}

TEST_F(SendBounced, IndirectMbufs)
{
	rte_mbuf *m = chain(heap, {"shared ", "data"});
	rte_mbuf *clone = rte_pktmbuf_clone(m, heap.get());
	ASSERT_NE(nullptr, clone);
	rte_mbuf *out = through(clone);
	EXPECT_EQ("shared data", read_by_device(domain, out));
	EXPECT_FALSE(out->ol_flags & RTE_MBUF_F_INDIRECT);
	EXPECT_EQ(1, rte_mbuf_refcnt_read(m));
	rte_pktmbuf_free(m);
	rte_pktmbuf_free(out);
}

TEST_F(SendBounced, ExternalBuffersAreFreedByTheirCallbackOnce)
{
	ExternalBuffer buffer("external", 4096);
	rte_mbuf *out = through(buffer.attach(heap, 8));
	EXPECT_EQ(1u, buffer.freed);
	std::memset(buffer.data(), '?', 8);
	EXPECT_EQ("external", read_by_device(domain, out));
	rte_pktmbuf_free(out);
	EXPECT_EQ(1u, buffer.freed);
}

TEST_F(SendBounced, OtherReferencesStay)
{
	rte_mbuf *m = chain(heap, {"kept ", "by the caller"});
	rte_pktmbuf_refcnt_update(m, 1);
	rte_mbuf *out = through(m);
	EXPECT_EQ(1, rte_mbuf_refcnt_read(m));
	EXPECT_EQ(1, rte_mbuf_refcnt_read(m->next));
	EXPECT_EQ("kept by the caller", text_of(m));
	rte_pktmbuf_free(m);
	EXPECT_EQ("kept by the caller", read_by_device(domain, out));
	rte_pktmbuf_free(out);
}

TEST_F(SendBounced, OffloadsAndDynamicFieldsAreKept)
{
	const rte_mbuf_dynfield field{.name = "iovad_test", .size = 4, .align = 4, .flags = 0};
	const int offset = rte_mbuf_dynfield_register(&field);
	ASSERT_GE(offset, 0);
	rte_mbuf *m = segment(heap, std::string(200, 'x'));
	m->ol_flags = RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_VLAN | RTE_MBUF_F_TX_IP_CKSUM;
	m->l2_len = 14;
	m->l3_len = 20;
	m->l4_len = 32;
	m->tso_segsz = 1448;
	m->vlan_tci = 0x123;
	m->vlan_tci_outer = 0x456;
	m->timesync = 0x789;
	m->packet_type = RTE_PTYPE_L4_TCP;
	m->hash.rss = 0xabcdef;
	m->port = 3;
	*RTE_MBUF_DYNFIELD(m, offset, uint32_t *) = 77;
	const uint64_t flags = m->ol_flags, offload = m->tx_offload;
	rte_mbuf *out = through(m);
	EXPECT_EQ(flags, out->ol_flags & ~RTE_MBUF_F_EXTERNAL);
	EXPECT_EQ(offload, out->tx_offload);
	EXPECT_EQ(0x123, out->vlan_tci);
	EXPECT_EQ(0x456, out->vlan_tci_outer);
	EXPECT_EQ(0x789, out->timesync);
	EXPECT_EQ(uint32_t{RTE_PTYPE_L4_TCP}, out->packet_type);
	EXPECT_EQ(0xabcdefu, out->hash.rss);
	EXPECT_EQ(3, out->port);
	EXPECT_EQ(77u, *RTE_MBUF_DYNFIELD(out, offset, uint32_t *));
	rte_pktmbuf_free(out);
	// A header that comes again has nothing of the last packet.
	out = through(segment(heap, "plain"));
	EXPECT_EQ(0u, out->ol_flags & ~RTE_MBUF_F_EXTERNAL);
	EXPECT_EQ(0u, out->tx_offload);
	rte_pktmbuf_free(out);
}

TEST_F(SendBounced, WithoutASlotTheRestIsTheCallersAsItWas)
{
	// Slots of 64 KiB: so many are in the pool.
	constexpr unsigned kSlots = kPoolBytes >> 16;
	ExternalBuffer buffer("long", 60000);
	std::vector<rte_mbuf *> packets;
	rte_mbuf_ext_shared_info *info = nullptr;
	for (unsigned i = 0; i < kSlots + 10; ++i) {
		packets.push_back(buffer.attach(heap, 60000));
		info = packets.back()->shinfo;
	}
	rte_mbuf_ext_refcnt_set(info, kSlots + 10);
	const std::vector<rte_mbuf *> given = packets;
	ASSERT_EQ(kSlots, port.send(packets));
	for (unsigned i = kSlots; i < packets.size(); ++i)
		EXPECT_EQ(given[i], packets[i]);
	EXPECT_EQ(1u, counted().tx_waits);
	EXPECT_EQ(10u, counted().tx_held_back);
	EXPECT_EQ(10, rte_mbuf_ext_refcnt_read(info));
	EXPECT_EQ(kPoolBytes, pool.stats().used_bytes);
	// Once the driver frees one the next can go.
	rte_pktmbuf_free(port.take_sent());
	EXPECT_EQ(1u, rte_eth_tx_burst(port.id(), 0, &packets[kSlots], 10));
	rte_pktmbuf_free_bulk(&packets[kSlots + 1], 9);
	while (rte_mbuf *m = port.take_sent())
		rte_pktmbuf_free(m);
	EXPECT_EQ(1u, buffer.freed);
}

// The first segment has a slot, the second does not.
TEST_F(SendBounced, ChainsThatDoNotFitWait)
{
	std::vector<rte_mbuf *> others;
	while (rte_mbuf *m = rte_pktmbuf_alloc(heap.get()))
		others.push_back(m);
	rte_pktmbuf_free_bulk(others.data(), 2);
	others.erase(others.begin(), others.begin() + 2);
	char data[1] = {};
	std::vector<rte_iova_t> slots;
	for (rte_iova_t iova; iovad_bounce_map(pool, data, 1, 0, IOVAD_TO_DEVICE, &iova) == 0;)
		slots.push_back(iova);
	const auto give_back_slot = [&] {
		EXPECT_EQ(0, iovad_bounce_unmap(pool, slots.back(), 1, IOVAD_TO_DEVICE, 0));
		slots.pop_back();
	};
	give_back_slot();
	rte_mbuf *m = chain(heap, {"head, ", "tail"}), *const tail = m->next;
	EXPECT_FALSE(port.send_one(m));
	EXPECT_EQ(nullptr, port.take_sent());
	EXPECT_EQ(tail, m->next);
	EXPECT_EQ("head, tail", text_of(m));
	EXPECT_EQ(slots.size() * 2048, pool.stats().used_bytes);
	EXPECT_EQ(0u, counted().tx_copied);
	EXPECT_EQ(1u, counted().tx_held_back);
	give_back_slot();
	EXPECT_TRUE(port.send_one(m));
	rte_mbuf *out = port.take_sent();
	EXPECT_EQ("head, tail", read_by_device(domain, out));
	EXPECT_EQ(nullptr, port.take_sent());
	EXPECT_EQ(2u, free_mbufs(heap));
	EXPECT_EQ(1u, counted().tx_copied);
	rte_pktmbuf_free(out);
	while (!slots.empty())
		give_back_slot();
	rte_pktmbuf_free_bulk(others.data(), static_cast<unsigned>(others.size()));
}

// What was replaced and finds the queue full is sent as it is later.
TEST_F(SendBounced, AFullQueueKeepsWhatWasReplaced)
{
	std::vector<rte_mbuf *> packets;
	for (unsigned i = 0; i < 300; ++i)
		packets.push_back(segment(heap, "packet " + std::to_string(i)));
	const uint16_t sent = port.send(packets);
	ASSERT_EQ(256, sent);
	unsigned next = 0;
	const auto drain = [&] {
		while (rte_mbuf *m = port.take_sent()) {
			EXPECT_EQ("packet " + std::to_string(next++), read_by_device(domain, m));
			rte_pktmbuf_free(m);
		}
	};
	drain();
	EXPECT_EQ(44, rte_eth_tx_burst(port.id(), 0, &packets[256], 44));
	drain();
	EXPECT_EQ(300u, next);
	EXPECT_EQ(300u, counted().tx_copied);
}

// Clones share the slot, and the header comes back to its pool before they do.
TEST_F(SendBounced, ClonesOfAHeaderKeepTheSlot)
{
	std::vector<rte_mbuf *> clones;
	for (unsigned i = 0; i < 20; ++i) {
		rte_mbuf *out = through(segment(heap, "clone " + std::to_string(i)));
		clones.push_back(rte_pktmbuf_clone(out, heap.get()));
		rte_pktmbuf_free(out);
	}
	EXPECT_EQ(20u * 2048, pool.stats().used_bytes);
	for (unsigned i = 0; i < clones.size(); ++i) {
		EXPECT_EQ("clone " + std::to_string(i), read_by_device(domain, clones[i]));
		rte_pktmbuf_free(clones[i]);
	}
	EXPECT_EQ(0u, pool.stats().used_bytes);
}

// One thread sends, and frees what was sent; another frees the clones. Either is the last, and the header is
// taken anew meanwhile.
TEST_F(SendBounced, ClonesAreFreedBesideTheSender)
{
#ifdef __SANITIZE_THREAD__
	GTEST_SKIP() << "who frees an mbuf last reads its reference count relaxed: what then follows depends on it, "
			"which is an order that ThreadSanitizer does not know";
#endif
	constexpr unsigned kPackets = 3000;
	std::atomic<rte_mbuf *> handed = nullptr;
	unsigned wrong = 0;
	std::thread other([&] {
		for (unsigned i = 0; i < kPackets; ++i) {
			rte_mbuf *clone;
			while (!(clone = handed.exchange(nullptr, std::memory_order_acquire)))
				std::this_thread::yield();
			wrong += text_of(clone) != "clone " + std::to_string(i);
			rte_pktmbuf_free(clone);
		}
	});
	for (unsigned i = 0; i < kPackets; ++i) {
		rte_mbuf *out = through(segment(heap, "clone " + std::to_string(i)));
		rte_mbuf *clone = rte_pktmbuf_clone(out, heap.get());
		while (handed.load(std::memory_order_relaxed))
			std::this_thread::yield();
		handed.store(clone, std::memory_order_release);
		rte_pktmbuf_free(out);
	}
	other.join();
	EXPECT_EQ(0u, wrong);
	EXPECT_EQ(0u, pool.stats().used_bytes);
	EXPECT_EQ(1023u, free_mbufs(heap));
}

TEST_F(SendBounced, LongOnesCanBeMapped)
{
	ASSERT_EQ(0, iovad_ethdev_bounce_copy_max(port.id(), 100));
	ExternalBuffer buffer(std::string(101, 'm'), 4096);
	const uint64_t maps = stats_of(domain).backend_maps;
	rte_mbuf *m = buffer.attach(heap, 101);
	ASSERT_EQ(0, rte_pktmbuf_chain(m, segment(heap, "")));
	ASSERT_EQ(0, rte_pktmbuf_chain(m, segment(heap, "tail")));
	rte_mbuf *out = through(m);
	EXPECT_EQ(2, out->nb_segs);
	EXPECT_EQ(buffer.data(), out->buf_addr);
	EXPECT_EQ(std::string(101, 'm') + "tail", read_by_device(domain, out));
	EXPECT_EQ(0u, buffer.freed);
	EXPECT_EQ(maps + 2, stats_of(domain).backend_maps);
	EXPECT_EQ(0u, pool.stats().maps);
	const rte_iova_t iova = rte_pktmbuf_iova(out);
	rte_pktmbuf_free(out);
	EXPECT_EQ(1u, buffer.freed);
	EXPECT_EQ(nullptr, iovad_iova2va(domain, iova, 1));
	EXPECT_EQ(1u, counted().tx_mapped);
	EXPECT_EQ(105u, counted().tx_mapped_bytes);
	// At the threshold it is copied.
	ExternalBuffer shorter(std::string(100, 'c'), 4096);
	out = through(shorter.attach(heap, 100));
	EXPECT_EQ(1u, shorter.freed);
	EXPECT_EQ(1u, counted().tx_copied);
	rte_pktmbuf_free(out);
}

TEST_F(SendBounced, MappedPacketsThatOthersHoldToo)
{
	ASSERT_EQ(0, iovad_ethdev_bounce_copy_max(port.id(), 0));
	rte_mbuf *m = chain(heap, {"kept ", "by the caller"});
	rte_pktmbuf_refcnt_update(m, 1);
	rte_mbuf *out = through(m);
	EXPECT_EQ("kept by the caller", read_by_device(domain, out));
	rte_pktmbuf_free(out);
	EXPECT_EQ(1, rte_mbuf_refcnt_read(m));
	EXPECT_EQ("kept by the caller", text_of(m));
	EXPECT_EQ(2, m->nb_segs);
	rte_pktmbuf_free(m);
}

}  // namespace
}  // namespace iovad::test
