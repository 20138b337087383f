// SPDX-License-Identifier: BSD-3-Clause
// What the tests of packets through bounce pools share: a domain with a bounce pool, packets that
// its devices cannot reach, and what devices see of a packet.
#pragma once

#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include <rte_launch.h>
#include <rte_mbuf.h>

#include "../control_poll.h"
#include "../packets.h"
#include "../test_domain.h"
#include "iovad/iovad_ethdev.h"
#include "ring_port.h"

namespace iovad::test {

inline constexpr uint64_t kChunk = uint64_t{2} << 20;

inline iovad_domain_conf soft_conf()
{
	iovad_domain_conf conf = conf_of(kChunk, uint64_t{1} << 36);
	conf.backend = IOVAD_BACKEND_SOFT;
	conf.max_ranges = 4096;
	return conf;
}

class BouncePool {
public:
	BouncePool(iovad_domain *d, uint64_t bytes) : BouncePool(d, bytes, bytes) {}
	BouncePool(iovad_domain *d, uint64_t initial, uint64_t most) : name_(unique_name())
	{
		iovad_bounce_conf conf;
		EXPECT_EQ(0, iovad_bounce_conf_init(&conf));
		conf.name = name_.c_str();
		conf.domain = d;
		conf.initial_bytes = initial;
		conf.max_bytes = most;
		pool_ = iovad_bounce_pool_create(&conf);
		if (!pool_)
			throw std::runtime_error("no bounce pool: " + std::string(rte_strerror(rte_errno)));
	}
	~BouncePool() { destroy(0); }
	BouncePool(const BouncePool &) = delete;
	BouncePool &operator=(const BouncePool &) = delete;

	void destroy(int expected)
	{
		if (!pool_)
			return;
		EXPECT_EQ(expected, iovad_bounce_pool_destroy(pool_));
		if (expected == 0)
			pool_ = nullptr;
	}
	operator iovad_bounce_pool *() const { return pool_; }
	const char *name() const { return name_.c_str(); }
	iovad_bounce_stats stats() const
	{
		iovad_bounce_stats s;
		EXPECT_EQ(0, iovad_bounce_stats_get(pool_, &s));
		return s;
	}

private:
	std::string name_;
	iovad_bounce_pool *pool_;
};

// Memory that the domain knows nothing of.
inline Mempool heap_pool(unsigned n = 1023, uint16_t room = RTE_MBUF_DEFAULT_BUF_SIZE)
{
	return Mempool(rte_pktmbuf_pool_create(unique_name().c_str(), n, 0, 16, room, SOCKET_ID_ANY));
}

inline unsigned free_mbufs(const Mempool &pool) { return rte_mempool_avail_count(pool.get()); }

// What a packet says, all segments in a row.
inline std::string text_of(const rte_mbuf *m)
{
	std::string text;
	for (; m; m = m->next)
		text.append(rte_pktmbuf_mtod(m, const char *), m->data_len);
	return text;
}

// The same as the device reads it: every byte through the domain.
inline std::string read_by_device(iovad_domain *d, const rte_mbuf *m)
{
	std::string text;
	for (; m; m = m->next) {
		if (m->data_len == 0)
			continue;
		const auto *data = static_cast<const char *>(iovad_iova2va(d, rte_pktmbuf_iova(m), m->data_len));
		if (!data)
			return "out of reach";
		text.append(data, m->data_len);
	}
	return text;
}

// Of the program's own memory; freed by the mbuf's callback, which counts.
class ExternalBuffer {
public:
	explicit ExternalBuffer(const std::string &text, size_t room = 0)
		: memory_(std::max(room, text.size()), '.')
	{
		std::memcpy(memory_.data(), text.data(), text.size());
		info_.free_cb = [](void *, void *self) { ++static_cast<ExternalBuffer *>(self)->freed; };
		info_.fcb_opaque = this;
		rte_mbuf_ext_refcnt_set(&info_, 1);
	}
	rte_mbuf *attach(const Mempool &headers, uint16_t len)
	{
		rte_mbuf *m = rte_pktmbuf_alloc(headers.get());
		rte_pktmbuf_attach_extbuf(m, memory_.data(), reinterpret_cast<uint64_t>(memory_.data()),
					  static_cast<uint16_t>(memory_.size()), &info_);
		m->data_len = len;
		m->pkt_len = len;
		return m;
	}
	char *data() { return memory_.data(); }

	unsigned freed = 0;

private:
	std::string memory_;
	rte_mbuf_ext_shared_info info_;
};

// What EAL's lcores do until it is over.
class AtWork {
public:
	bool goes_on() const { return !over_; }
	void is_done() { ++done_; }
	// So many see that it is over, and all that they did came before this: ThreadSanitizer sees that
	// here, and not in EAL.
	void end(size_t lcores)
	{
		over_ = true;
		while (done_ < lcores)
			std::this_thread::yield();
		rte_eal_mp_wait_lcore();
	}

private:
	std::atomic<bool> over_ = false;
	std::atomic<size_t> done_ = 0;
};

class BouncePackets : public testing::Test {
protected:
	static constexpr uint64_t kPoolBytes = 4 * kChunk;

	BouncePackets() : domain(soft_conf()), pool(domain, kPoolBytes), heap(heap_pool()), port(heap.get()) {}
	~BouncePackets() override
	{
		iovad_ethdev_bounce_disable(port.id());
		EXPECT_EQ(0u, pool.stats().used_bytes);
		EXPECT_EQ(1023u, free_mbufs(heap));
	}
	void enable() { ASSERT_EQ(0, iovad_ethdev_bounce_enable(port.id(), pool)); }
	iovad_ethdev_bounce_stats counted() const
	{
		iovad_ethdev_bounce_stats s;
		EXPECT_EQ(0, iovad_ethdev_bounce_stats_get(port.id(), &s));
		return s;
	}
	// Sends it and gives what the device gets.
	rte_mbuf *through(rte_mbuf *m)
	{
		EXPECT_TRUE(port.send_one(m));
		rte_mbuf *out = port.take_sent();
		EXPECT_NE(nullptr, out);
		return out;
	}

	TestDomain domain;
	BouncePool pool;
	Mempool heap;
	RingPort port;
};

class SendBounced : public BouncePackets {
protected:
	void SetUp() override { enable(); }
};

}  // namespace iovad::test
