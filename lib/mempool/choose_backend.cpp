// SPDX-License-Identifier: BSD-3-Clause
#include "mempool/choose_backend.h"

#include <cerrno>

#include <linux/vfio.h>
#include <sys/ioctl.h>

#include <rte_dev.h>
#include <rte_vfio.h>

#include "mempool/log.h"

namespace iovad::mempool {

namespace {

// EAL's container translates for at least one device.
bool vfio_translates()
{
	const int fd = rte_vfio_get_container_fd();
	vfio_iommu_type1_info info{};
	info.argsz = sizeof info;
	return fd > 0 && ioctl(fd, VFIO_IOMMU_GET_INFO, &info) == 0;
}

// A PCI device with a driver of DPDK's, or null.
const rte_device *pci_device()
{
	rte_dev_iterator iterator;
	rte_device *device;
	RTE_DEV_FOREACH(device, "bus=pci", &iterator) {
		if (rte_dev_is_probed(device))
			return device;
	}
	return nullptr;
}

}  // namespace

int choose_backend(BackendChoice choice, iovad_backend &out)
{
	switch (choice) {
	case BackendChoice::vfio:
		out = IOVAD_BACKEND_VFIO;
		return 0;
	case BackendChoice::automatic:
		if (vfio_translates()) {
			out = IOVAD_BACKEND_VFIO;
			return 0;
		}
		[[fallthrough]];
	case BackendChoice::soft:
		out = IOVAD_BACKEND_SOFT;
		break;
	}
	if (const rte_device *device = pci_device()) {
		MEMPOOL_LOG(ERR, "device %s does not go through an IOMMU that this pool could be mapped in: it would "
			    "take our addresses for physical ones. Bind it to vfio-pci (with an IOMMU, not in no-IOMMU "
			    "mode) and use backend=vfio, or use another mempool driver", rte_dev_name(device));
		return -ENODEV;
	}
	return 0;
}

}  // namespace iovad::mempool
