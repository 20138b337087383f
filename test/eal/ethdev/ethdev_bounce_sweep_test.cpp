// SPDX-License-Identifier: BSD-3-Clause
// Ports with bounce where DPDK refuses something or memory runs out, and ports that are configured so that it cannot be:
// errors are clear, nothing is left, and it works once nothing is refused. The linker leads the
// library's calls here (--wrap, see meson.build).
#define ALLOW_EXPERIMENTAL_API  // rte_eth_dev_conf_get() was that in 22.11
#include <cerrno>

#include "../failing_calls.h"
#include "bounce_packets.h"

namespace {

int allowed = -1;          // calls, before one fails; negative: all succeed
uint64_t tx_offloads = 0;  // that ports say they have

bool fails() { return allowed >= 0 && allowed-- == 0; }

}  // namespace

extern "C" {

decltype(rte_eth_dev_conf_get) __real_rte_eth_dev_conf_get, __wrap_rte_eth_dev_conf_get;
decltype(rte_eth_dev_callback_register) __real_rte_eth_dev_callback_register, __wrap_rte_eth_dev_callback_register;
decltype(rte_eth_add_tx_callback) __real_rte_eth_add_tx_callback, __wrap_rte_eth_add_tx_callback;
decltype(rte_eth_add_first_rx_callback) __real_rte_eth_add_first_rx_callback, __wrap_rte_eth_add_first_rx_callback;
decltype(rte_pktmbuf_pool_create) __real_rte_pktmbuf_pool_create, __wrap_rte_pktmbuf_pool_create;
decltype(rte_pktmbuf_pool_create_extbuf) __real_rte_pktmbuf_pool_create_extbuf, __wrap_rte_pktmbuf_pool_create_extbuf;

int __wrap_rte_eth_dev_conf_get(uint16_t port, rte_eth_conf *conf)
{
	const int error = __real_rte_eth_dev_conf_get(port, conf);
	conf->txmode.offloads |= tx_offloads;
	return fails() ? -EIO : error;
}
int __wrap_rte_eth_dev_callback_register(uint16_t port, rte_eth_event_type event, rte_eth_dev_cb_fn fn, void *arg)
{
	return fails() ? -ENOMEM : __real_rte_eth_dev_callback_register(port, event, fn, arg);
}
const rte_eth_rxtx_callback *__wrap_rte_eth_add_tx_callback(uint16_t port, uint16_t queue, rte_tx_callback_fn fn, void *arg)
{
	if (!fails())
		return __real_rte_eth_add_tx_callback(port, queue, fn, arg);
	rte_errno = ENOMEM;
	return nullptr;
}
const rte_eth_rxtx_callback *__wrap_rte_eth_add_first_rx_callback(uint16_t port, uint16_t queue, rte_rx_callback_fn fn,
								  void *arg)
{
	if (!fails())
		return __real_rte_eth_add_first_rx_callback(port, queue, fn, arg);
	rte_errno = ENOMEM;
	return nullptr;
}
rte_mempool *__wrap_rte_pktmbuf_pool_create(const char *name, unsigned n, unsigned cache, uint16_t priv, uint16_t room, int socket)
{
	if (!fails())
		return __real_rte_pktmbuf_pool_create(name, n, cache, priv, room, socket);
	rte_errno = ENOMEM;
	return nullptr;
}
rte_mempool *__wrap_rte_pktmbuf_pool_create_extbuf(const char *name, unsigned n, unsigned cache, uint16_t priv, uint16_t room,
						   int socket, const rte_pktmbuf_extmem *memory, unsigned pieces)
{
	if (!fails())
		return __real_rte_pktmbuf_pool_create_extbuf(name, n, cache, priv, room, socket, memory, pieces);
	rte_errno = ENOMEM;
	return nullptr;
}

}  // extern "C"

namespace iovad::test {
namespace {

class RefusedBounce : public BouncePackets {
protected:
	~RefusedBounce() override
	{
		allowed = -1;
		tx_offloads = 0;
	}
	void expect_nothing_done()
	{
		EXPECT_EQ(-ENOENT, iovad_ethdev_bounce_disable(port.id()));
		rte_mbuf *m = segment(heap, "as if nothing had been");
		EXPECT_EQ(m, through(m));
		rte_pktmbuf_free(m);
		pool.destroy(0);
		new (&pool) BouncePool(domain, kPoolBytes);
	}
	void expect_to_work()
	{
		ASSERT_EQ(0, iovad_ethdev_bounce_enable(port.id(), pool));
		rte_mbuf *out = through(segment(heap, "bounced"));
		EXPECT_EQ("bounced", read_by_device(domain, out));
		rte_pktmbuf_free(out);
	}
};

TEST_F(RefusedBounce, EachCallOfEnable)
{
	// The port, its configuration, mbufs, a callback for sending; mbufs stay: a callback for receiving.
	for (const int before : {0, 1, 2, 3, 3}) {
		allowed = before;
		const int error = iovad_ethdev_bounce_enable(port.id(), pool);
		EXPECT_TRUE(error == -ENOMEM || error == -EIO) << error;
		expect_nothing_done();
	}
	allowed = -1;
	expect_to_work();
}

TEST_F(RefusedBounce, EachAllocationOfEnable)
{
	uint64_t nth = 1;
	for (int error = -ENOMEM; error != 0; ++nth) {
		allocations.fail(nth, 1);
		error = test::counted([&] { return iovad_ethdev_bounce_enable(port.id(), pool); });
		allocations.heal();
		if (error == 0)
			break;
		ASSERT_EQ(-ENOMEM, error);
		expect_nothing_done();
	}
	EXPECT_GT(nth, 1u);
	// Nor does what follows.
	allocations.fail(1, 1);
	EXPECT_EQ(0, test::counted([&] { return iovad_ethdev_bounce_disable(port.id()); }));
	allocations.heal();
	expect_to_work();
}

// With mbufs out, whose pool is kept.
TEST_F(RefusedBounce, ClosingAllocatesNothing)
{
	ASSERT_EQ(0, iovad_ethdev_bounce_enable(port.id(), pool));
	rte_mbuf *out = through(segment(heap, "out"));
	const uint64_t before = allocations.calls;
	allocations_count = true;
	port.close();
	allocations_count = false;
	EXPECT_EQ(before, allocations.calls);
	rte_pktmbuf_free(out);
}

// What there was to count before is gone with it, too.
TEST_F(RefusedBounce, ThereIsNothingToCountThen)
{
	iovad_ethdev_bounce_stats s;
	// Mbufs; the port.
	for (const int before : {2, 0}) {
		allowed = before;
		EXPECT_EQ(-ENOMEM, iovad_ethdev_bounce_enable(port.id(), pool));
		EXPECT_EQ(-ENOENT, iovad_ethdev_bounce_stats_get(port.id(), &s));
		allowed = -1;
		EXPECT_EQ(0, iovad_ethdev_bounce_enable(port.id(), pool));
		EXPECT_EQ(0, iovad_ethdev_bounce_stats_get(port.id(), &s));
		EXPECT_EQ(0, iovad_ethdev_bounce_disable(port.id()));
		EXPECT_EQ(0, iovad_ethdev_bounce_stats_get(port.id(), &s));
	}
	tx_offloads = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	EXPECT_EQ(-ENOTSUP, iovad_ethdev_bounce_enable(port.id(), pool));
	EXPECT_EQ(-ENOENT, iovad_ethdev_bounce_stats_get(port.id(), &s));
}

TEST_F(RefusedBounce, PacketPools)
{
	allowed = 0;
	rte_errno = 0;
	EXPECT_EQ(nullptr, iovad_bounce_pktmbuf_pool_create("packets", 64, 0, pool, heap.get()));
	EXPECT_EQ(ENOMEM, rte_errno);
	EXPECT_EQ(0u, pool.stats().used_bytes);
}

TEST_F(RefusedBounce, PortsWhoseDriversDoNotTellWhenABufferIsFree)
{
	for (const uint64_t offload : {RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE, RTE_ETH_TX_OFFLOAD_MT_LOCKFREE}) {
		tx_offloads = offload | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
		EXPECT_EQ(-ENOTSUP, iovad_ethdev_bounce_enable(port.id(), pool));
	}
	tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	EXPECT_EQ(0, iovad_ethdev_bounce_enable(port.id(), pool));
}

}  // namespace
}  // namespace iovad::test
