// SPDX-License-Identifier: BSD-3-Clause
#include "mempool/choose_backend.h"

#include <cerrno>
#include <filesystem>
#include <string>

#include <linux/vfio.h>
#include <sys/ioctl.h>

#include <rte_dev.h>
#include <rte_pci.h>
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

// The kernel's driver of a PCI device: empty where it has none.
std::string kernel_driver(const rte_device *device)
{
	rte_pci_addr address;
	if (rte_pci_addr_parse(rte_dev_name(device), &address) != 0)
		return {};
	char name[PCI_PRI_STR_SIZE];  // in full, however the user wrote it
	rte_pci_device_name(&address, name, sizeof name);
	std::error_code none;
	return std::filesystem::read_symlink("/sys/bus/pci/devices/" + std::string(name) + "/driver", none).filename();
}

// Whether the device finds mbufs that lie where this backend puts them.
bool reaches(const std::string &driver, iovad_backend backend)
{
	// Their drivers in DPDK look at the virtual address, never at the mbuf's IOVA.
	if (driver == "mlx4_core" || driver == "mlx5_core" || driver == "mana")
		return true;
	// vfio-pci, mlx5_vfio_pci, ...
	return backend == IOVAD_BACKEND_VFIO && driver.find("vfio") != driver.npos;
}

iovad_backend wanted(BackendChoice choice)
{
	switch (choice) {
	case BackendChoice::vfio:
		return IOVAD_BACKEND_VFIO;
	case BackendChoice::soft:
		return IOVAD_BACKEND_SOFT;
	case BackendChoice::automatic:
		break;
	}
	return vfio_translates() ? IOVAD_BACKEND_VFIO : IOVAD_BACKEND_SOFT;
}

}  // namespace

int choose_backend(BackendChoice choice, iovad_backend &out)
{
	out = wanted(choice);
	rte_dev_iterator iterator;
	rte_device *device;
	RTE_DEV_FOREACH(device, "bus=pci", &iterator) {
		if (!rte_dev_is_probed(device))
			continue;
		const std::string driver = kernel_driver(device);
		if (reaches(driver, out))
			continue;
		MEMPOOL_LOG(ERR, "device %s (kernel driver: %s) cannot be given addresses of backend=%s: it would read and "
			    "write anywhere. Bind it to vfio-pci, with an IOMMU and not in no-IOMMU mode, and use "
			    "backend=auto or vfio; or keep it from this process (-b %s), or use another mempool driver",
			    rte_dev_name(device), driver.empty() ? "none" : driver.c_str(),
			    out == IOVAD_BACKEND_VFIO ? "vfio" : "soft", rte_dev_name(device));
		return -ENODEV;
	}
	return 0;
}

}  // namespace iovad::mempool
