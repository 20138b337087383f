// SPDX-License-Identifier: BSD-3-Clause
// Several processes, one domain, devices in the primary's container. Pools need the plugin:
// "-d .../librte_mempool_iovad.so" among IOVAD_TEST_EAL_ARGS.
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "eal/secondary_peer.h"
#include "machine.h"

namespace iovad::test {
namespace {

std::string with(const char *verb, uint64_t a, uint64_t b)
{
	return std::string(verb) + ' ' + std::to_string(a) + ' ' + std::to_string(b);
}

class VfioProcesses : public WithVfio {
protected:
	static std::unique_ptr<Peer> attached(const char *domain)
	{
		auto peer = std::make_unique<Peer>(std::getenv("IOVAD_TEST_PREFIX"));
		EXPECT_EQ(0, peer->ask(std::string("lookup ") + domain));
		return peer;
	}
};

TEST_F(VfioProcesses, ASecondaryAllocatesAndTranslatesAndDoesNotMap)
{
	TestDomain d(conf());
	const Buffer memory(4 * kPage);
	rte_iova_t before = 0, after = 0;
	ASSERT_EQ(0, iovad_map(d, memory.at(), 2 * kPage, kLimit32, IOVAD_BIDIRECTIONAL, &before));
	auto peer = attached(d.name());
	ASSERT_EQ(0, iovad_map(d, memory.at(2 * kPage), 2 * kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &after));
	const auto ask = [&](const char *verb, uint64_t a, uint64_t b) {
		unsigned long long answer = 0;
		EXPECT_EQ(0, peer->ask(with(verb, a, b), &answer)) << verb;
		return answer;
	};
	const auto va = reinterpret_cast<uint64_t>(memory.at());
	EXPECT_EQ(before + 5, ask("va2iova", va + 5, kPage));
	EXPECT_EQ(va + 2 * kPage + 7, ask("iova2va", after + 7, kPage));
	EXPECT_EQ(-ENOTSUP, peer->ask(with("map", va, kPage)));
	EXPECT_EQ(-ENOTSUP, peer->ask(with("unmap", before, 2 * kPage)));
	EXPECT_EQ(-ENOTSUP, peer->ask(with("region", va, kPage)));
	EXPECT_EQ(-ENOTSUP, peer->ask(with("unregion", va, kPage)));
	EXPECT_EQ(-ENOTSUP, peer->ask("refresh"));
	const rte_iova_t theirs = ask("alloc", kPage, kLimit32);
	EXPECT_EQ(IOVAD_RANGE_LIVE, state_at(d, theirs));
	EXPECT_EQ(0, peer->ask(with("free", theirs, kPage)));
	EXPECT_EQ(0, peer->ask("verify"));
	EXPECT_EQ("", reaches(before, memory.at(), 2 * kPage));
	// One that dies takes nothing along.
	EXPECT_EQ(0, peer->ask(with("fill", kPage, 300)));
	peer->kill();
	EXPECT_EQ("", reaches(after, memory.at(2 * kPage), 2 * kPage));
	EXPECT_EQ(0, iovad_unmap(d, before, 2 * kPage));
	ASSERT_EQ(0, iovad_map(d, memory.at(), 2 * kPage, kLimit32, IOVAD_BIDIRECTIONAL, &before));
	EXPECT_EQ("", reaches(before, memory.at(), 2 * kPage));
	EXPECT_EQ(0, iovad_unmap(d, before, 2 * kPage));
	EXPECT_EQ(0, iovad_unmap(d, after, 2 * kPage));
	EXPECT_EQ(0, iovad_verify(d, stderr));
}

// Two ports on one wire, packet memory from the mempool driver.
class Traffic {
public:
	explicit Traffic(rte_mempool *pool)
	{
		for (uint16_t port = 0; port < 2; ++port) {
			const rte_eth_conf conf{};
			EXPECT_EQ(0, rte_eth_dev_configure(port, 1, 1, &conf));
			EXPECT_EQ(0, rte_eth_rx_queue_setup(port, 0, 128, SOCKET_ID_ANY, nullptr, pool));
			EXPECT_EQ(0, rte_eth_tx_queue_setup(port, 0, 128, SOCKET_ID_ANY, nullptr));
			EXPECT_EQ(0, rte_eth_dev_start(port));
			EXPECT_EQ(0, rte_eth_promiscuous_enable(port));
		}
		for (uint16_t port = 0; port < 2; ++port) {
			rte_eth_link link;
			EXPECT_EQ(0, rte_eth_link_get(port, &link));
			EXPECT_EQ(RTE_ETH_LINK_UP, static_cast<int>(link.link_status));
		}
	}
	~Traffic()
	{
		stop();
		for (uint16_t port = 0; port < 2; ++port) {
			EXPECT_EQ(0, rte_eth_dev_stop(port));
			EXPECT_EQ(0, rte_eth_dev_close(port));
		}
	}
	Traffic(const Traffic &) = delete;
	Traffic &operator=(const Traffic &) = delete;

	// What one port receives the other sends on.
	void start(rte_mempool *pool)
	{
		go_on_ = true;
		thread_ = std::thread([this, pool] {
			std::array<rte_mbuf *, 16> seeds;
			EXPECT_EQ(0, rte_pktmbuf_alloc_bulk(pool, seeds.data(), seeds.size()));
			for (rte_mbuf *m : seeds)
				write_test_frame(rte_pktmbuf_append(m, kTestFrameBytes), 0);
			pass_on(0, seeds.data(), seeds.size());
			while (go_on_) {
				for (uint16_t port = 0; port < 2; ++port) {
					std::array<rte_mbuf *, 32> packets;
					const uint16_t n = rte_eth_rx_burst(port, 0, packets.data(), packets.size());
					received_ += n;
					pass_on(port ^ 1, packets.data(), n);
				}
			}
		});
	}
	void stop()
	{
		go_on_ = false;
		if (thread_.joinable())
			thread_.join();
	}
	// Whether so many more come within half a minute.
	bool flows(uint64_t packets) const
	{
		return within_patience([this, end = received_ + packets] { return received_ >= end; });
	}
	// Frames 0 to n - 1, at port 1, in this order, among others.
	static bool arrive(uint32_t n)
	{
		uint32_t next = 0;
		return within_patience([&] {
			std::array<rte_mbuf *, 32> packets;
			const uint16_t got = rte_eth_rx_burst(1, 0, packets.data(), packets.size());
			for (uint16_t i = 0; i < got; ++i) {
				char frame[kTestFrameBytes];
				write_test_frame(frame, next);
				next += rte_pktmbuf_data_len(packets[i]) >= kTestFrameBytes &&
					std::memcmp(frame, rte_pktmbuf_mtod(packets[i], char *), kTestFrameBytes) == 0;
				rte_pktmbuf_free(packets[i]);
			}
			return next == n;
		});
	}
	// What is on the wire and in the queues.
	static void drain()
	{
		for (unsigned idle = 0; idle < 1000; ++idle) {
			for (uint16_t port = 0; port < 2; ++port) {
				std::array<rte_mbuf *, 32> packets;
				const uint16_t n = rte_eth_rx_burst(port, 0, packets.data(), packets.size());
				rte_pktmbuf_free_bulk(packets.data(), n);
				idle = n ? 0 : idle;
			}
		}
	}

private:
	static void pass_on(uint16_t port, rte_mbuf **packets, size_t n)
	{
		const uint16_t sent = rte_eth_tx_burst(port, 0, packets, static_cast<uint16_t>(n));
		rte_pktmbuf_free_bulk(packets + sent, static_cast<unsigned>(n - sent));
	}
	template <class Done> static bool within_patience(Done done)
	{
		const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
		while (!done()) {
			if (std::chrono::steady_clock::now() > end)
				return false;
			std::this_thread::yield();
		}
		return true;
	}

	std::atomic<bool> go_on_ = false;
	std::atomic<uint64_t> received_ = 0;
	std::thread thread_;
};

TEST_F(VfioProcesses, PacketsAndMbufsOfAPoolOfTheDriverInBoth)
{
	rte_mempool *pool = rte_pktmbuf_pool_create_by_ops("packets", 2047, 64, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
							   SOCKET_ID_ANY, "iovad");
	ASSERT_NE(nullptr, pool) << rte_strerror(rte_errno) << ": is the plugin loaded?";
	iovad_domain *d = iovad_domain_lookup("mempool");
	ASSERT_NE(nullptr, d);
	ASSERT_EQ(2u, rte_eth_dev_count_avail());
	{
		Traffic traffic(pool);
		traffic.start(pool);
		EXPECT_TRUE(traffic.flows(1000));
		const auto goes = attached("mempool"), dies = attached("mempool");
		for (int i = 0; i < 10; ++i) {
			EXPECT_EQ(0, goes->ask("mbufs packets 200"));
			EXPECT_EQ(0, dies->ask("mbufs packets 300"));
		}
		EXPECT_TRUE(traffic.flows(1000)) << "beside secondaries";
		EXPECT_EQ(0, dies->ask("hold packets 100"));
		dies->kill();
		EXPECT_TRUE(traffic.flows(1000)) << "after one was killed";
		EXPECT_EQ(0, goes->ask("mbufs packets 200"));
		// Now the other sends; the device fetches from where it says.
		traffic.stop();
		Traffic::drain();
		EXPECT_EQ(0, goes->ask("send packets 32"));
		EXPECT_TRUE(Traffic::arrive(32));
		EXPECT_EQ(0, goes->ask("detach"));
		traffic.start(pool);
		EXPECT_TRUE(traffic.flows(1000)) << "after one went";
	}
	EXPECT_EQ(0, iovad_verify(d, stderr));
	// 100 died with their holder; others may be in caches of the pool.
	EXPECT_LE(2047 - 100 - 64u, rte_mempool_avail_count(pool));
	rte_mempool_free(pool);
	EXPECT_EQ(nullptr, iovad_domain_lookup("mempool")) << "it went with its last pool";
	// EAL's own lie above.
	trace->catch_up();
	EXPECT_FALSE(trace->maps_any(0, k4GiB));
}

}  // namespace
}  // namespace iovad::test
