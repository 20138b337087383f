// SPDX-License-Identifier: BSD-3-Clause
#include "container.h"

#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace iovad::dma {

namespace {

constexpr const char *kDeviceVariable = "IOVAD_TEST_VFIO_DEVICE";

std::string system_said(const std::string &what) { return what + ": " + std::strerror(errno); }

Fd open_device_file(const std::string &path, std::string &why)
{
	Fd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
	if (!fd.valid())
		why = system_said(path);
	return fd;
}

// The file of the device's group; nothing where it has none.
std::string group_file(const std::string &device, std::string &why)
{
	std::error_code error;
	const auto link = std::filesystem::read_symlink("/sys/bus/pci/devices/" + device + "/iommu_group", error);
	if (error) {
		why = device + " is in no IOMMU group: " + error.message();
		return {};
	}
	return "/dev/vfio/" + link.filename().string();
}

bool join(int container, int group, int iommu_type, std::string &why)
{
	vfio_group_status status = {};
	status.argsz = sizeof status;
	if (ioctl(group, VFIO_GROUP_GET_STATUS, &status) < 0)
		why = system_said("VFIO_GROUP_GET_STATUS");
	else if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		why = "a device of the group is not bound to vfio-pci";
	else if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) < 0)
		why = system_said("VFIO_GROUP_SET_CONTAINER");
	else if (ioctl(container, VFIO_SET_IOMMU, iommu_type) < 0)
		why = system_said("VFIO_SET_IOMMU");
	else
		return true;
	return false;
}

}  // namespace

Fd::~Fd()
{
	if (valid())
		close(fd_);
}

std::optional<Container> Container::without_device(std::string &why)
{
	Container container;
	container.container_ = open_device_file("/dev/vfio/vfio", why);
	if (!container.container_.valid())
		return std::nullopt;
	return container;
}

std::optional<Container> Container::with_device(int iommu_type, std::string &why)
{
	const char *device = std::getenv(kDeviceVariable);
	if (!device) {
		why = std::string(kDeviceVariable) + " names no device";
		return std::nullopt;
	}
	auto container = without_device(why);
	if (!container)
		return std::nullopt;
	const std::string path = group_file(device, why);
	if (path.empty())
		return std::nullopt;
	container->group_ = open_device_file(path, why);
	if (!container->group_.valid() || !join(container->fd(), container->group_.get(), iommu_type, why))
		return std::nullopt;
	return container;
}

}  // namespace iovad::dma
