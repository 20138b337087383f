// SPDX-License-Identifier: BSD-3-Clause
// A sender, a receiver and somebody who unmaps what is being sent, all at the same time: a packet arrives as
// it was, or not at all.
#include <atomic>
#include <cstdio>
#include <thread>

#include "loop_ports.h"

namespace iovad::test {
namespace {

constexpr uint16_t kLength = 4 * kPage;  // takes a while to copy
constexpr int kRounds = 100;

class LoopThreads : public LoopTest {
protected:
	LoopThreads()
		: headers(heap_pool()), name(unique_port()), receiver(domain, pool, {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER}, "", name),
		  sender(domain, heap = heap_pool(), {}, ",peer=" + name)
	{
		std::memset(pages.at(0), 'g', kLength);
		iova = map(domain, pages.at(0), kLength, IOVAD_TO_DEVICE);
	}

	void send()
	{
		while (!over) {
			ASSERT_TRUE(sender.send(pages.attach(headers, iova, kLength)));
			sender.clean_up();
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
		ASSERT_EQ(0, iovad_unmap(domain, iova, kLength));
		std::memset(pages.at(0), 'b', kLength);
		std::memset(pages.at(0), 'g', kLength);
		iova = map(domain, pages.at(0), kLength, IOVAD_TO_DEVICE);
	}
	over = true;
	sending.join();
	receiving.join();
	EXPECT_EQ(0u, bad);
	EXPECT_LE(uint64_t{kRounds}, good);
	EXPECT_EQ(0, iovad_unmap(domain, iova, kLength));
}

// A log that takes its time: reports are written while the device has what it reached in hand.
struct SlowLog {
	iovad_domain *domain;
	rte_iova_t iova;
	std::atomic<bool> begun = false, ended = false;

	// Until somebody is unmapping this.
	static ssize_t write(void *log, const char *, size_t bytes)
	{
		auto *self = static_cast<SlowLog *>(log);
		self->begun = true;
		while (iovad_iova2va(self->domain, self->iova, 1))
			std::this_thread::yield();
		for (int i = 0; i < 50; ++i)
			std::this_thread::yield();
		self->ended = true;
		return static_cast<ssize_t>(bytes);
	}
};

TEST_F(LoopTest, UnmappingWaitsForTheDevice)
{
	Pages pages;
	Mempool heap = heap_pool();
	LoopPort port(domain, pool);
	SlowLog log{domain, map(domain, pages.at(0), kPage, IOVAD_TO_DEVICE)};
	FILE *stream = fopencookie(&log, "w", {.read = nullptr, .write = SlowLog::write, .seek = nullptr, .close = nullptr});
	rte_openlog_stream(stream);
	std::thread unmapper([&] {
		while (!log.begun)
			std::this_thread::yield();
		EXPECT_EQ(0, iovad_unmap(domain, log.iova, kPage));
		EXPECT_TRUE(log.ended);
	});
	EXPECT_TRUE(port.send(segment(heap, "not mapped")));
	unmapper.join();
	rte_openlog_stream(nullptr);
	std::fclose(stream);
	EXPECT_EQ(1u, port.faults());
	port.clean_up();
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
	EXPECT_EQ(0, iovad_unmap(domain, iova, kLength));
}

}  // namespace
}  // namespace iovad::test
