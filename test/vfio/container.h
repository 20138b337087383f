// SPDX-License-Identifier: BSD-3-Clause
// A VFIO container with a real device in it: what EAL does for an application. The device
// is one bound to vfio-pci, named by IOVAD_TEST_VFIO_DEVICE (0000:00:03.0).
#pragma once

#include <optional>
#include <string>
#include <utility>

namespace iovad::dma {

class Fd {
public:
	explicit Fd(int fd = -1) : fd_(fd) {}
	Fd(Fd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
	Fd &operator=(Fd &&other) noexcept
	{
		std::swap(fd_, other.fd_);
		return *this;
	}
	~Fd();

	int get() const { return fd_; }
	bool valid() const { return fd_ >= 0; }

private:
	int fd_;
};

class Container {
public:
	// Nothing, with the reason in why, where this machine or its user has no device.
	static std::optional<Container> without_device(std::string &why);
	static std::optional<Container> with_device(int iommu_type, std::string &why);

	int fd() const { return container_.get(); }
	// The device leaves, and with it the IOMMU.
	void detach() { group_ = Fd(); }

private:
	// In this order: a container outlives its groups.
	Fd container_, group_;
};

}  // namespace iovad::dma
