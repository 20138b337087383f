// SPDX-License-Identifier: BSD-3-Clause
// Settings that are refused, and ports that cannot start: what is said, and that nothing is left.
#include "loop_ports.h"

namespace iovad::test {
namespace {

void expect_refused(const std::string &settings, const std::string &said)
{
	Log log;
	const std::string name = unique_port();
	EXPECT_EQ(-EINVAL, rte_vdev_init(name.c_str(), settings.c_str())) << settings;
	EXPECT_NE(std::string::npos, log.text().find(said)) << log.text();
	uint16_t id;
	EXPECT_EQ(-ENODEV, rte_eth_dev_get_port_by_name(name.c_str(), &id));
}

TEST(LoopSettings, OthersAreRefusedAndNamed)
{
	const std::string keys = "is not key=value[,key=value...] with keys domain, peer, on_fault, delay, queues, mac";
	for (const char *text : {"colour=red", "delay", "delay=1,", "delay=1=2", "delay=[1,2]"})
		expect_refused(text, std::string("'") + text + "' " + keys);
}

TEST(LoopSettings, BadValuesAreRefused)
{
	expect_refused("domain=", "domain=: must be a name of up to 23 characters");
	expect_refused("domain=" + std::string(24, 'x'), "must be a name of up to 23 characters");
	expect_refused("peer=net_null0", "peer=net_null0: must be the name of a port of this driver");
	expect_refused("on_fault=ignore", "on_fault=ignore: must be drop or panic");
	for (const char *delay : {"-1", "4097", "1k", ""})
		expect_refused(std::string("delay=") + delay, "must be a number of descriptors, 0 to 4096");
	for (const char *queues : {"0", "65", "many"})
		expect_refused(std::string("queues=") + queues, "must be a number of queues, 1 to 64");
	for (const char *mac : {"02:00:00:00:00", "01:00:00:00:00:01", "00:00:00:00:00:00", "mine"})
		expect_refused(std::string("mac=") + mac, "must be the address of one port");
}

TEST(LoopSettings, TheDefaultDomainIsTheMempoolDrivers)
{
	LoopPort port("");
	Mempool heap = heap_pool();
	port.set_up(heap, {});
	Log log;
	EXPECT_EQ(-ENOENT, rte_eth_dev_start(port.id()));
	EXPECT_NE(std::string::npos, log.text().find("there is no domain 'mempool'")) << log.text();
	EXPECT_NE(std::string::npos, log.text().find("--mbuf-pool-ops-name=iovad")) << log.text();
	EXPECT_EQ(kMbufs, free_mbufs(heap));
}

TEST(LoopSettings, ADomainWithoutASoftwareIommuIsRefused)
{
	TestDomain bare(conf_of(0, 0));
	LoopPort port("domain=" + std::string(bare.name()));
	Mempool heap = heap_pool();
	port.set_up(heap, {});
	Log log;
	EXPECT_EQ(-ENOTSUP, rte_eth_dev_start(port.id()));
	EXPECT_NE(std::string::npos, log.text().find("has no software IOMMU")) << log.text();
	EXPECT_NE(std::string::npos, log.text().find("IOVAD_MEMPOOL=backend=soft")) << log.text();
	EXPECT_EQ(kMbufs, free_mbufs(heap));
}

TEST_F(LoopTest, ItsDomainStaysAsLongAsItIsStarted)
{
	LoopPort port(domain, pool);
	EXPECT_EQ(-EBUSY, iovad_domain_destroy(domain));
	port.stop();
	ASSERT_EQ(0, rte_eth_dev_start(port.id()));
	ASSERT_TRUE(port.send(segment(pool, "again")));
	EXPECT_EQ("again", port.receive_text());
}

TEST_F(LoopTest, APoolTooSmallForItsDescriptorsIsRefused)
{
	LoopPort port("domain=" + std::string(domain.name()));
	port.set_up(pool, {.rx_descriptors = 512});
	Log log;
	EXPECT_EQ(-ENOMEM, rte_eth_dev_start(port.id()));
	EXPECT_NE(std::string::npos, log.text().find("has no mbufs for its 512 descriptors")) << log.text();
	EXPECT_EQ(kMbufs, free_mbufs(pool));
	port.set_up(pool, {});
	EXPECT_EQ(0, rte_eth_dev_start(port.id()));
}

}  // namespace
}  // namespace iovad::test
