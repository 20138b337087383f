// SPDX-License-Identifier: BSD-3-Clause
// What the tests of the virtual NIC share: ports of it, memory that is mapped in one way or another, and
// what the ports have counted.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rte_bus_vdev.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "../eal/captured_log.h"
#include "../eal/packets.h"
#include "../eal/test_domain.h"
#include "iovad/iovad_dma.h"
#include "iovad/iovad_ethdev.h"

namespace iovad::test {

inline iovad_domain_conf soft_conf()
{
	iovad_domain_conf conf = conf_of(0, 0, IOVAD_DOMAIN_F_NO_CACHE);
	conf.backend = IOVAD_BACKEND_SOFT;
	conf.max_ranges = 4096;
	return conf;
}

inline constexpr unsigned kMbufs = 511;

inline Mempool pool_in(iovad_domain *d, uint16_t room = RTE_MBUF_DEFAULT_BUF_SIZE)
{
	return Mempool(iovad_pktmbuf_pool_create(unique_name().c_str(), kMbufs, 0, 0, room, SOCKET_ID_ANY, d, kNoLimit));
}

// Memory that no domain knows of.
inline Mempool heap_pool(uint16_t room = RTE_MBUF_DEFAULT_BUF_SIZE)
{
	return Mempool(rte_pktmbuf_pool_create(unique_name().c_str(), kMbufs, 0, 0, room, SOCKET_ID_ANY));
}

// A pool of EAL's, mapped for a direction as long as the test likes.
class MappedPool {
public:
	MappedPool(iovad_domain *d, uint32_t dir) : domain_(d), dir_(dir), pool_(heap_pool())
	{
		rte_mempool_mem_iter(pool_.get(), [](rte_mempool *, void *self, rte_mempool_memhdr *memory, unsigned) {
			static_cast<MappedPool *>(self)->map(memory->addr, memory->len);
		}, this);
		rte_mempool_obj_iter(pool_.get(), [](rte_mempool *, void *domain, void *object, unsigned) {
			auto *m = static_cast<rte_mbuf *>(object);
			rte_mbuf_iova_set(m, iovad_va2iova(static_cast<iovad_domain *>(domain), m->buf_addr, m->buf_len));
		}, d);
	}
	~MappedPool() { unmap(); }
	MappedPool(const MappedPool &) = delete;
	MappedPool &operator=(const MappedPool &) = delete;

	const Mempool &pool() const { return pool_; }
	void unmap()
	{
		for (const auto &[va, len] : memory_)
			EXPECT_EQ(0, iovad_region_remove(domain_, va, len));
		memory_.clear();
	}

private:
	void map(void *va, uint64_t len)
	{
		rte_iova_t iova;
		EXPECT_EQ(0, iovad_region_add(domain_, va, len, kNoLimit, dir_, &iova));
		memory_[va] = len;
	}

	iovad_domain *const domain_;
	const uint32_t dir_;
	Mempool pool_;
	std::map<void *, uint64_t> memory_;
};

// Pages of the program's own, given to mbufs as external buffers.
class Pages {
public:
	Pages()
	{
		std::memset(memory_, '.', sizeof memory_);
		info_.free_cb = [](void *, void *) {};
		rte_mbuf_ext_refcnt_set(&info_, 1);
	}
	char *at(unsigned page) { return memory_ + page * kPage; }
	// From the first page on, as a device is to find it there.
	rte_mbuf *attach(const Mempool &headers, rte_iova_t iova, uint16_t len)
	{
		rte_mbuf *m = rte_pktmbuf_alloc(headers.get());
		rte_mbuf_ext_refcnt_set(&info_, 1);
		rte_pktmbuf_attach_extbuf(m, memory_, iova, sizeof memory_, &info_);
		m->data_len = len;
		m->pkt_len = len;
		return m;
	}

private:
	alignas(kPage) char memory_[4 * kPage];
	rte_mbuf_ext_shared_info info_{};
};

inline rte_iova_t map(iovad_domain *d, void *va, uint64_t len, uint32_t dir)
{
	rte_iova_t iova = 0;
	EXPECT_EQ(0, iovad_map(d, va, len, kNoLimit, dir, &iova));
	return iova;
}

inline unsigned free_mbufs(const Mempool &pool) { return rte_mempool_avail_count(pool.get()); }

// What a received packet says; it is freed.
inline std::string take_text(rte_mbuf *packet)
{
	std::string text;
	unsigned segments = 0;
	for (const rte_mbuf *m = packet; m; m = m->next, ++segments)
		text.append(rte_pktmbuf_mtod(m, const char *), m->data_len);
	EXPECT_EQ(packet->pkt_len, text.size());
	EXPECT_EQ(packet->nb_segs, segments);
	EXPECT_EQ(0, rte_mbuf_check(packet, 1, nullptr));
	rte_pktmbuf_free(packet);
	return text;
}

// Text that tells its places apart.
inline std::string long_text(size_t bytes)
{
	std::string text;
	for (unsigned i = 0; text.size() < bytes; ++i)
		text += std::to_string(i) + ",";
	text.resize(bytes);
	return text;
}

struct PortConf {
	unsigned queues = 1;
	uint16_t rx_descriptors = 64, tx_descriptors = 64;
	uint16_t tx_free = 0;
	uint64_t rx_offloads = 0;
};

inline std::string unique_port()
{
	static unsigned number;
	return "net_iovad_loop" + std::to_string(++number);
}

class LoopPort {
public:
	// Not set up.
	explicit LoopPort(const std::string &settings, const std::string &name = unique_port()) : name_(name)
	{
		EXPECT_EQ(0, rte_vdev_init(name_.c_str(), settings.c_str()));
		EXPECT_EQ(0, rte_eth_dev_get_port_by_name(name_.c_str(), &id_));
	}
	// Started; more: settings, with a comma in front.
	LoopPort(const TestDomain &domain, const Mempool &pool, const PortConf &conf = {}, const std::string &more = "",
		 const std::string &name = unique_port())
		: LoopPort("domain=" + std::string(domain.name()) + more, name)
	{
		set_up(pool, conf);
		EXPECT_EQ(0, rte_eth_dev_start(id_));
	}
	~LoopPort()
	{
		if (gone_)
			return;
		rte_eth_dev_stop(id_);
		EXPECT_EQ(0, rte_eth_dev_close(id_));
		unplug();
	}
	LoopPort(const LoopPort &) = delete;
	LoopPort &operator=(const LoopPort &) = delete;

	void set_up(const Mempool &pool, const PortConf &conf)
	{
		rte_eth_conf eth{};
		eth.rxmode.offloads = conf.rx_offloads;
		const auto queues = static_cast<uint16_t>(conf.queues);
		ASSERT_EQ(0, rte_eth_dev_configure(id_, queues, queues, &eth));
		rte_eth_txconf tx{};
		tx.tx_free_thresh = conf.tx_free;
		for (uint16_t q = 0; q < queues; ++q) {
			ASSERT_EQ(0, rte_eth_rx_queue_setup(id_, q, conf.rx_descriptors, SOCKET_ID_ANY, nullptr, pool.get()));
			ASSERT_EQ(0, rte_eth_tx_queue_setup(id_, q, conf.tx_descriptors, SOCKET_ID_ANY, &tx));
		}
	}

	uint16_t id() const { return id_; }
	const std::string &name() const { return name_; }
	bool send(rte_mbuf *m, uint16_t queue = 0) const { return rte_eth_tx_burst(id_, queue, &m, 1) == 1; }
	rte_mbuf *receive(uint16_t queue = 0) const
	{
		rte_mbuf *m = nullptr;
		return rte_eth_rx_burst(id_, queue, &m, 1) == 1 ? m : nullptr;
	}
	// The next packet's text, or "nothing".
	std::string receive_text(uint16_t queue = 0) const
	{
		rte_mbuf *m = receive(queue);
		return m ? take_text(m) : "nothing";
	}
	// What was sent goes back to its pool.
	int clean_up() const { return rte_eth_tx_done_cleanup(id_, 0, 0); }
	// However it is used.
	void unplug()
	{
		gone_ = true;
		EXPECT_EQ(0, rte_vdev_uninit(name_.c_str()));
	}
	void stop() const { EXPECT_EQ(0, rte_eth_dev_stop(id_)); }

	rte_eth_stats stats() const
	{
		rte_eth_stats s;
		EXPECT_EQ(0, rte_eth_stats_get(id_, &s));
		return s;
	}
	uint64_t counted(const char *name) const
	{
		uint64_t id, value = ~uint64_t{0};
		EXPECT_EQ(0, rte_eth_xstats_get_id_by_name(id_, name, &id)) << name;
		EXPECT_EQ(1, rte_eth_xstats_get_by_id(id_, &id, &value, 1));
		return value;
	}
	// Of all kinds and both directions.
	uint64_t faults() const
	{
		uint64_t sum = 0;
		for (const char *side : {"rx", "tx"}) {
			for (const char *kind : {"not_mapped", "direction", "crosses_end"})
				sum += counted((std::string(side) + "_fault_" + kind).c_str());
		}
		return sum;
	}

private:
	std::string name_;
	uint16_t id_ = 0;
	bool gone_ = false;
};

class LoopTest : public testing::Test {
protected:
	LoopTest() : domain(soft_conf()), pool(pool_in(domain)) {}
	~LoopTest() override { EXPECT_EQ(kMbufs, free_mbufs(pool)); }

	TestDomain domain;
	Mempool pool;
};

}  // namespace iovad::test
