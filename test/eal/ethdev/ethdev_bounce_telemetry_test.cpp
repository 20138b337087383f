// SPDX-License-Identifier: BSD-3-Clause
// What telemetry tells of ports that send and receive through a bounce pool.
#include "../telemetry_client.h"
#include "bounce_packets.h"

namespace iovad::test {
namespace {

TEST_F(BouncePackets, TelemetryTellsOfPorts)
{
	TelemetryClient client;
	EXPECT_EQ("[]", client.ask("/iovad/ethdev"));
	const std::string id = std::to_string(port.id()), question = "/iovad/ethdev," + id;
	EXPECT_EQ("null", client.ask(question));
	enable();
	EXPECT_EQ("[" + id + "]", client.ask("/iovad/ethdev"));
	Mempool device(iovad_bounce_pktmbuf_pool_create("device", 8, 0, pool, heap.get()));
	ASSERT_NE(nullptr, device);
	rte_pktmbuf_free(through(segment(heap, "sent")));
	rte_pktmbuf_free(through(segment(heap, "")));
	port.arrive(segment(device, "received"));
	rte_pktmbuf_free(port.receive_one());
	const std::string told = client.ask(question);
	EXPECT_EQ(port.id(), number_of(told, "port"));
	EXPECT_EQ('"' + std::string(pool.name()) + '"', value_of(told, "pool"));
	EXPECT_EQ(1u, number_of(told, "tx_copied"));
	EXPECT_EQ(4u, number_of(told, "tx_copied_bytes"));
	EXPECT_EQ(1u, number_of(told, "tx_passed"));
	EXPECT_EQ(1u, number_of(told, "rx_copied"));
	EXPECT_EQ(8u, number_of(told, "rx_copied_bytes"));
	for (const char *none : {"tx_mapped", "tx_mapped_bytes", "tx_waits", "tx_held_back", "rx_passed", "rx_dropped_nombuf",
				 "rx_dropped_length"})
		EXPECT_EQ("0", value_of(told, none)) << none;
	// What they came to.
	EXPECT_EQ(0, iovad_ethdev_bounce_disable(port.id()));
	const std::string after = client.ask(question);
	EXPECT_EQ("", value_of(after, "pool"));
	EXPECT_EQ(1u, number_of(after, "tx_copied"));
	for (const char *parameters : {",x", ",-1", ",65536", ",31"})
		EXPECT_EQ("null", client.ask("/iovad/ethdev" + std::string(parameters))) << parameters;
	EXPECT_EQ("null", client.ask(question + ",1"));
	device.reset();
	port.close();
	EXPECT_EQ("[]", client.ask("/iovad/ethdev"));
	EXPECT_EQ("null", client.ask(question));
}

}  // namespace
}  // namespace iovad::test
