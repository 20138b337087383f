// SPDX-License-Identifier: BSD-3-Clause
// A sender, a receiver and somebody who unmaps what is being sent, all at the same time: a packet arrives as
// it was, or not at all.
#include <atomic>
#include <thread>

#include "loop_ports.h"

namespace iovad::test {
namespace {

constexpr uint16_t kLength = 256;
constexpr int kRounds = 100;

class LoopThreads : public LoopTest {
protected:
	LoopThreads()
		: headers(heap_pool()), name(unique_port()), receiver(domain, pool, {}, "", name),
		  sender(domain, heap = heap_pool(), {}, ",peer=" + name)
	{
		std::memset(pages.at(0), 'g', kPage);
		iova = map(domain, pages.at(0), kPage, IOVAD_TO_DEVICE);
	}

	void send()
	{
		while (!over) {
			if (rte_mbuf *m = rte_pktmbuf_alloc(headers.get())) {
				rte_mbuf_ext_refcnt_set(&info, 1);
				rte_pktmbuf_attach_extbuf(m, pages.at(0), iova.load(), kPage, &info);
				m->data_len = kLength;
				m->pkt_len = kLength;
				while (!sender.send(m))
					std::this_thread::yield();
				rte_eth_tx_done_cleanup(sender.id(), 0, 0);
			}
		}
	}
	void receive()
	{
		while (!over) {
			const std::string text = receiver.receive_text();
			if (text == "nothing")
				std::this_thread::yield();
			else if (text == std::string(kLength, 'g'))
				++good;
			else
				++bad;
		}
	}

	Pages pages;
	rte_mbuf_ext_shared_info info{.free_cb = [](void *, void *) {}, .fcb_opaque = nullptr, .refcnt = 1};
	Mempool headers, heap;
	std::string name;
	LoopPort receiver, sender;
	std::atomic<rte_iova_t> iova;
	std::atomic<bool> over = false;
	std::atomic<uint64_t> good = 0, bad = 0;
};

TEST_F(LoopThreads, UnmappedMemoryIsNotSent)
{
	std::thread sending([this] { send(); }), receiving([this] { receive(); });
	for (int i = 0; i < kRounds; ++i) {
		const uint64_t before = good;
		while (good == before)
			std::this_thread::yield();
		ASSERT_EQ(0, iovad_unmap(domain, iova, kPage));
		std::memset(pages.at(0), 'b', kPage);
		std::memset(pages.at(0), 'g', kPage);
		iova = map(domain, pages.at(0), kPage, IOVAD_TO_DEVICE);
	}
	over = true;
	sending.join();
	receiving.join();
	EXPECT_EQ(0u, bad);
	EXPECT_LE(uint64_t{kRounds}, good);
	EXPECT_EQ(0, iovad_unmap(domain, iova, kPage));
}

// The peer comes and goes while it is sent to.
TEST_F(LoopThreads, PortsStopWhileTheyAreSentTo)
{
	std::thread sending([this] { send(); });
	for (int i = 0; i < 50; ++i) {
		while (receiver.receive_text() == "nothing")
			std::this_thread::yield();
		receiver.stop();
		EXPECT_EQ(kMbufs, free_mbufs(pool));
		ASSERT_EQ(0, rte_eth_dev_start(receiver.id()));
	}
	over = true;
	sending.join();
	EXPECT_EQ(0u, sender.faults() + receiver.faults());
	EXPECT_EQ(0, iovad_unmap(domain, iova, kPage));
}

}  // namespace
}  // namespace iovad::test
