// SPDX-License-Identifier: BSD-3-Clause
#include "loop/ops.h"

#include <cerrno>
#include <new>

namespace iovad::loop {

namespace {

constexpr uint16_t kFewestDescriptors = 32, kUsualDescriptors = 512;
constexpr uint32_t kLongestPacket = 16 << 10;

template <class Use> int without_exceptions(Use use)
try {
	use();
	return 0;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

int configure(rte_eth_dev *) { return 0; }
int start(rte_eth_dev *dev) { return port_of(dev).start(); }

int stop(rte_eth_dev *dev)
{
	port_of(dev).stop();
	return 0;
}

int info(rte_eth_dev *dev, rte_eth_dev_info *out)
{
	const Settings &settings = port_of(dev).settings();
	out->min_rx_bufsize = RTE_ETHER_MIN_LEN;
	out->max_rx_pktlen = kLongestPacket;
	out->max_mtu = kLongestPacket - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN;
	out->min_mtu = RTE_ETHER_MIN_MTU;
	out->max_rx_queues = out->max_tx_queues = settings.queues;
	out->max_mac_addrs = 1;
	out->rx_offload_capa = out->rx_queue_offload_capa = RTE_ETH_RX_OFFLOAD_SCATTER;
	out->tx_offload_capa = out->tx_queue_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	out->speed_capa = RTE_ETH_LINK_SPEED_100G;
	out->rx_desc_lim.nb_max = out->tx_desc_lim.nb_max = kMostDescriptors;
	out->rx_desc_lim.nb_min = out->tx_desc_lim.nb_min = kFewestDescriptors;
	out->rx_desc_lim.nb_align = out->tx_desc_lim.nb_align = 1;
	out->default_rxportconf.ring_size = out->default_txportconf.ring_size = kUsualDescriptors;
	return 0;
}

int set_up_rx(rte_eth_dev *dev, uint16_t queue, uint16_t descriptors, unsigned, const rte_eth_rxconf *conf,
	      rte_mempool *pool)
{
	return without_exceptions([&] { port_of(dev).set_up_rx(queue, descriptors, *conf, pool); });
}

int set_up_tx(rte_eth_dev *dev, uint16_t queue, uint16_t descriptors, unsigned, const rte_eth_txconf *conf)
{
	return without_exceptions([&] { port_of(dev).set_up_tx(queue, descriptors, *conf); });
}

void release_rx(rte_eth_dev *dev, uint16_t queue) { port_of(dev).release_rx(queue); }
void release_tx(rte_eth_dev *dev, uint16_t queue) { port_of(dev).release_tx(queue); }

void rx_info(rte_eth_dev *dev, uint16_t queue, rte_eth_rxq_info *out)
{
	const RxQueue::Config &config = port_of(dev).rx(queue).config();
	out->mp = config.pool;
	out->nb_desc = config.descriptors;
	out->scattered_rx = config.scatter;
	out->conf.rx_free_thresh = config.refill;
}

void tx_info(rte_eth_dev *dev, uint16_t queue, rte_eth_txq_info *out)
{
	const TxQueue::Config &config = port_of(dev).tx(queue).config();
	out->nb_desc = config.descriptors;
	out->conf.tx_free_thresh = config.free;
}

int clean_up_tx(void *queue, uint32_t most)
{
	return static_cast<int>(static_cast<TxQueue *>(queue)->clean_up(most));
}

// It is up while the port is started: see Port::say().
int update_link(rte_eth_dev *, int) { return 0; }

// Everything is received, whatever its address.
int no_filter(rte_eth_dev *) { return 0; }

int set_mac(rte_eth_dev *, rte_ether_addr *) { return 0; }
// What is longer than a buffer is scattered, or dropped.
int set_mtu(rte_eth_dev *, uint16_t) { return 0; }

int get_stats(rte_eth_dev *dev, rte_eth_stats *out)
{
	const Totals t = port_of(dev).totals();
	out->ipackets = t[kRxPackets];
	out->ibytes = t[kRxBytes];
	out->imissed = t[kRxMissed];
	out->ierrors = t[kRxRefused] + t[kRxTooLong];
	out->rx_nombuf = t[kRxNoMbuf];
	out->opackets = t[kTxPackets];
	out->obytes = t[kTxBytes];
	out->oerrors = t[kTxRefused] + t[kTxTooMany];
	return 0;
}

int reset_stats(rte_eth_dev *dev)
{
	port_of(dev).reset_totals();
	return 0;
}

eth_dev_ops make_ops()
{
	eth_dev_ops out{};
	out.dev_configure = configure;
	out.dev_start = start;
	out.dev_stop = stop;
	out.dev_close = close;
	out.dev_infos_get = info;
	out.link_update = update_link;
	out.promiscuous_enable = out.promiscuous_disable = no_filter;
	out.allmulticast_enable = out.allmulticast_disable = no_filter;
	out.mac_addr_set = set_mac;
	out.mtu_set = set_mtu;
	out.rx_queue_setup = set_up_rx;
	out.tx_queue_setup = set_up_tx;
	out.rx_queue_release = release_rx;
	out.tx_queue_release = release_tx;
	out.rxq_info_get = rx_info;
	out.txq_info_get = tx_info;
	out.tx_done_cleanup = clean_up_tx;
	out.stats_get = get_stats;
	out.stats_reset = out.xstats_reset = reset_stats;
	out.xstats_get = xstats_get;
	out.xstats_get_names = xstats_get_names;
	return out;
}

}  // namespace

const eth_dev_ops &ops()
{
	static const eth_dev_ops all = make_ops();
	return all;
}

uint16_t receive(void *queue, rte_mbuf **packets, uint16_t n) { return static_cast<RxQueue *>(queue)->receive(packets, n); }
uint16_t send(void *queue, rte_mbuf **packets, uint16_t n) { return static_cast<TxQueue *>(queue)->send(packets, n); }

int close(rte_eth_dev *dev)
{
	delete &port_of(dev);
	dev->data->dev_private = nullptr;  // DPDK would free these
	dev->data->mac_addrs = nullptr;
	return 0;
}

}  // namespace iovad::loop
