// SPDX-License-Identifier: BSD-3-Clause
// librte_net_iovad_loop.so: a virtual NIC whose DMA goes through the software IOMMU of an iovad domain, so
// that memory which an application must not give to a device is found on any machine. For
// applications that are not rebuilt: testpmd -d librte_net_iovad_loop.so --vdev=net_iovad_loop0.
// doc/loop.md says how to use it.
#include <cerrno>
#include <memory>
#include <new>

#include <ethdev_vdev.h>
#include <rte_eal.h>

#include "eal/dpdk_versions.h"
#include "loop/log.h"
#include "loop/ops.h"

namespace iovad::loop {

int logtype;

namespace {

int check_process(const char *name)
{
	if (!eal::kMbufsHoldIova) {
		LOOP_LOG(ERR, "%s: this DPDK was built without IOVAs in mbufs; build it with -Denable_iova_as_pa=true", name);
		return -ENOTSUP;
	}
	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		LOOP_LOG(ERR, "%s: in the primary process only, which has the domain's software IOMMU", name);
		return -ENOTSUP;
	}
	return 0;
}

int probe(rte_vdev_device *vdev)
try {
	const char *name = rte_vdev_device_name(vdev);
	if (const int error = check_process(name))
		return error;
	Settings settings;
	if (const int error = settings.read(name, rte_vdev_device_args(vdev)))
		return error;
	rte_eth_dev *dev = rte_eth_vdev_allocate(vdev, 0);
	if (!dev)
		return -ENOMEM;
	std::unique_ptr<Port> port;
	try {
		port = std::make_unique<Port>(*dev->data, settings);
	} catch (const std::bad_alloc &) {
		rte_eth_dev_release_port(dev);
		throw;
	}
	dev->data->mac_addrs = &port->mac();
	dev->data->dev_private = port.release();
	dev->dev_ops = &ops();
	dev->rx_pkt_burst = receive;
	dev->tx_pkt_burst = send;
	rte_eth_dev_probing_finish(dev);
	return 0;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

int remove(rte_vdev_device *vdev)
{
	rte_eth_dev *dev = rte_eth_dev_allocated(rte_vdev_device_name(vdev));
	if (!dev)  // closed by the application
		return 0;
	close(dev);
	return rte_eth_dev_release_port(dev);
}

rte_vdev_driver driver;

}  // namespace

}  // namespace iovad::loop

RTE_INIT(iovad_loop_register)
{
	using namespace iovad::loop;
	logtype = rte_log_register_type_and_pick_level("iovad.loop", RTE_LOG_NOTICE);
	driver.driver.name = kDriverName;
	driver.probe = probe;
	driver.remove = remove;
	rte_vdev_register(&driver);
}
