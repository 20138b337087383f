// SPDX-License-Identifier: BSD-3-Clause
// Each thing that can be wrong with memory which a device is given: found, counted, said, and nothing is
// copied.
#include "loop_ports.h"

namespace iovad::test {
namespace {

// What was sent before and after it arrives.
void expect_goes_on(const LoopPort &port, const Mempool &pool)
{
	ASSERT_TRUE(port.send(segment(pool, "goes on")));
	EXPECT_EQ("goes on", port.receive_text());
}

void expect_counted(const LoopPort &port, const char *fault, uint64_t n = 1)
{
	EXPECT_EQ(n, port.counted(fault));
	EXPECT_EQ(n, port.faults()) << "nothing else";
}

bool has(const std::string &text, const std::string &part) { return text.find(part) != text.npos; }

TEST_F(LoopTest, SendingWhatIsNotMapped)
{
	Mempool heap = heap_pool();
	LoopPort port(domain, pool);
	Log log;
	rte_mbuf *m = segment(heap, "secret");
	char address[32];
	std::snprintf(address, sizeof address, "0x%lx", rte_pktmbuf_iova(m));
	ASSERT_TRUE(port.send(m));
	EXPECT_EQ("nothing", port.receive_text());
	expect_counted(port, "tx_fault_not_mapped");
	EXPECT_EQ(1u, port.counted("tx_dropped_fault"));
	EXPECT_EQ(1u, port.stats().oerrors);
	EXPECT_EQ(0u, port.stats().opackets);
	const std::string said = log.text();
	EXPECT_TRUE(has(said, port.name() + ", tx queue 0: reading 6 bytes at " + address + ", which is not mapped.")) << said;
	EXPECT_TRUE(has(said, "pool " + std::string(heap->name) + ".")) << said;
	EXPECT_TRUE(has(said, "Domain " + std::string(domain.name()) + " has the address as free")) << said;
	expect_goes_on(port, pool);
	port.clean_up();
	EXPECT_EQ(kMbufs, free_mbufs(heap));
}

// One bad segment, and nothing of the packet arrives.
TEST_F(LoopTest, SendingAChainOfWhichOneIsNotMapped)
{
	Mempool heap = heap_pool();
	LoopPort port(domain, pool);
	rte_mbuf *m = chain(pool, {"good", "good"});
	ASSERT_EQ(0, rte_pktmbuf_chain(m, segment(heap, "bad")));
	ASSERT_EQ(0, rte_pktmbuf_chain(m, segment(pool, "good")));
	ASSERT_EQ(0, rte_pktmbuf_chain(m, segment(heap, "bad too")));
	ASSERT_TRUE(port.send(m));
	EXPECT_EQ("nothing", port.receive_text());
	expect_counted(port, "tx_fault_not_mapped", 2);
	EXPECT_EQ(1u, port.counted("tx_dropped_fault"));
	expect_goes_on(port, pool);
	port.clean_up();
	EXPECT_EQ(kMbufs, free_mbufs(heap));
}

// The device reads later than it was told to, and the application did not wait.
TEST_F(LoopTest, UnmappingWhatIsStillToBeSent)
{
	Pages pages;
	LoopPort port(domain, pool, {}, ",delay=8");
	const rte_iova_t iova = map(domain, pages.at(0), kPage, IOVAD_TO_DEVICE);
	ASSERT_TRUE(port.send(pages.attach(pool, iova, 64)));
	EXPECT_EQ(0u, port.faults());
	ASSERT_EQ(0, iovad_unmap(domain, iova, kPage));
	port.clean_up();
	EXPECT_EQ("nothing", port.receive_text());
	expect_counted(port, "tx_fault_not_mapped");
}

TEST_F(LoopTest, UnmappingWhatIsStillToBeSentIsFoundWhenStopped)
{
	Pages pages;
	LoopPort port(domain, pool, {}, ",delay=8");
	const rte_iova_t iova = map(domain, pages.at(0), kPage, IOVAD_TO_DEVICE);
	ASSERT_TRUE(port.send(pages.attach(pool, iova, 64)));
	ASSERT_EQ(0, iovad_unmap(domain, iova, kPage));
	port.stop();
	expect_counted(port, "tx_fault_not_mapped");
}

TEST_F(LoopTest, SendingWhatIsMappedForReceiving)
{
	Pages pages;
	LoopPort port(domain, pool);
	const rte_iova_t iova = map(domain, pages.at(0), kPage, IOVAD_FROM_DEVICE);
	Log log;
	ASSERT_TRUE(port.send(pages.attach(pool, iova, 64)));
	EXPECT_EQ("nothing", port.receive_text());
	expect_counted(port, "tx_fault_direction");
	EXPECT_TRUE(has(log.text(), "which is mapped for the other direction only. External buffer of")) << log.text();
	EXPECT_TRUE(has(log.text(), "has the address as live")) << log.text();
	expect_goes_on(port, pool);
	port.clean_up();
	EXPECT_EQ(0, iovad_unmap(domain, iova, kPage));
}

TEST_F(LoopTest, SendingBeyondTheEndOfAMapping)
{
	Pages pages;
	LoopPort port(domain, pool);
	const rte_iova_t iova = map(domain, pages.at(0), kPage, IOVAD_TO_DEVICE);
	rte_mbuf *fits = pages.attach(pool, iova, kPage);
	ASSERT_TRUE(port.send(fits));
	EXPECT_EQ(0u, port.faults());
	Log log;
	ASSERT_TRUE(port.send(pages.attach(pool, iova, kPage + 1)));
	expect_counted(port, "tx_fault_crosses_end");
	EXPECT_TRUE(has(log.text(), "which crosses the end of its mapping")) << log.text();
	port.clean_up();
	EXPECT_EQ(0, iovad_unmap(domain, iova, kPage));
}

// An IOMMU lets it pass, if memory and addresses happen to lie so.
TEST_F(LoopTest, SendingAcrossTwoMappings)
{
	Pages pages;
	LoopPort port(domain, pool);
	const rte_iova_t second = map(domain, pages.at(1), kPage, IOVAD_TO_DEVICE),
			 first = map(domain, pages.at(0), kPage, IOVAD_TO_DEVICE);
	ASSERT_EQ(second, first + kPage);
	ASSERT_TRUE(port.send(pages.attach(pool, first, kPage + 1)));
	expect_counted(port, "tx_fault_crosses_end");
	port.clean_up();
	EXPECT_EQ(0, iovad_unmap(domain, first, kPage));
	EXPECT_EQ(0, iovad_unmap(domain, second, kPage));
}

TEST_F(LoopTest, ReceivingIntoWhatIsNotMapped)
{
	Mempool heap = heap_pool();
	LoopPort port(domain, heap, {.rx_descriptors = 32});
	Log log;
	for (unsigned i = 1; i <= 40; ++i) {
		ASSERT_TRUE(port.send(segment(pool, "a packet")));
		EXPECT_EQ("nothing", port.receive_text());
		expect_counted(port, "rx_fault_not_mapped", i);
	}
	EXPECT_EQ(40u, port.counted("rx_dropped_fault"));
	EXPECT_EQ(40u, port.stats().ierrors);
	EXPECT_EQ(0u, port.stats().imissed) << "descriptors are used again";
	const std::string said = log.text();
	EXPECT_TRUE(has(said, port.name() + ", rx queue 0: writing 8 bytes at 0x")) << said;
	EXPECT_TRUE(has(said, "pool " + std::string(heap->name))) << said;
	port.stop();
	EXPECT_EQ(kMbufs, free_mbufs(heap));
}

TEST_F(LoopTest, ReceivingIntoWhatWasUnmappedSince)
{
	MappedPool posted(domain, IOVAD_FROM_DEVICE);
	LoopPort port(domain, posted.pool(), {.rx_descriptors = 32});
	expect_goes_on(port, pool);
	EXPECT_EQ(0u, port.faults());
	posted.unmap();
	ASSERT_TRUE(port.send(segment(pool, "too late")));
	EXPECT_EQ("nothing", port.receive_text());
	expect_counted(port, "rx_fault_not_mapped");
}

TEST_F(LoopTest, ReceivingIntoWhatIsMappedForSending)
{
	MappedPool posted(domain, IOVAD_TO_DEVICE);
	LoopPort port(domain, posted.pool());
	Log log;
	ASSERT_TRUE(port.send(segment(pool, "a packet")));
	EXPECT_EQ("nothing", port.receive_text());
	expect_counted(port, "rx_fault_direction");
	EXPECT_TRUE(has(log.text(), "writing 8 bytes at 0x")) << log.text();
	rte_mbuf *m = segment(posted.pool(), "the other way it may");
	ASSERT_TRUE(port.send(m));
	expect_counted(port, "rx_fault_direction", 2);
	port.clean_up();
}

void shift_address(rte_mempool *, void *end, void *object, unsigned)
{
	auto *m = static_cast<rte_mbuf *>(object);
	rte_mbuf_iova_set(m, *static_cast<rte_iova_t *>(end) - RTE_PKTMBUF_HEADROOM - 100);
}

// 100 bytes fit before the end of what is mapped.
TEST_F(LoopTest, ReceivingBeyondTheEndOfAMapping)
{
	Pages pages;
	Mempool posted = heap_pool();
	rte_iova_t iova = map(domain, pages.at(0), kPage, IOVAD_FROM_DEVICE), end = iova + kPage;
	rte_mempool_obj_iter(posted.get(), shift_address, &end);
	LoopPort port(domain, posted);
	ASSERT_TRUE(port.send(segment(pool, long_text(100))));
	EXPECT_EQ(0u, port.faults());
	EXPECT_EQ(long_text(100), std::string(pages.at(1) - 100, 100));
	std::memset(pages.at(0), '.', 2 * kPage);
	ASSERT_TRUE(port.send(segment(pool, long_text(101))));
	expect_counted(port, "rx_fault_crosses_end");
	EXPECT_EQ(std::string(2 * kPage, '.'), std::string(pages.at(0), 2 * kPage)) << "nothing was written";
	port.stop();
	EXPECT_EQ(0, iovad_unmap(domain, iova, kPage));
}

// All descriptors of a scattered packet are given up for one that is bad.
TEST_F(LoopTest, ScatteringIntoWhatIsNotMapped)
{
	Mempool small = heap_pool(RTE_PKTMBUF_HEADROOM + 128);
	LoopPort port(domain, small, {.rx_descriptors = 32, .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER});
	for (unsigned i = 1; i <= 20; ++i) {
		ASSERT_TRUE(port.send(segment(pool, long_text(300))));
		EXPECT_EQ("nothing", port.receive_text());
		expect_counted(port, "rx_fault_not_mapped", 3 * i);
		EXPECT_EQ(i, port.counted("rx_dropped_fault"));
	}
	port.stop();
	EXPECT_EQ(kMbufs, free_mbufs(small));
}

TEST_F(LoopTest, WhatRepeatsIsCounted)
{
	Mempool heap = heap_pool();
	LoopPort port(domain, pool);
	Log log;
	for (int i = 0; i < 100; ++i)
		ASSERT_TRUE(port.send(segment(heap, "x")));
	expect_counted(port, "tx_fault_not_mapped", 100);
	port.stop();
	const std::string said = log.text();
	size_t lines = 0;
	for (size_t at = said.find("which is not mapped"); at != said.npos; at = said.find("which is not mapped", at + 1))
		++lines;
	// More than five where the machine took ten seconds for this.
	EXPECT_TRUE(lines != 5 || has(said, port.name() + ": 95 more of these")) << said;
	EXPECT_GE(lines, 5u);
	EXPECT_LT(lines, 100u);
	EXPECT_EQ(0, rte_eth_xstats_reset(port.id()));
	EXPECT_EQ(0u, port.faults());
}

}  // namespace
}  // namespace iovad::test
