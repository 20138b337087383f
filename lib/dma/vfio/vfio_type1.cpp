// SPDX-License-Identifier: BSD-3-Clause
#include "dma/vfio/vfio_type1.h"

#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>

#include "dma/vfio/type1_info.h"

namespace iovad::dma {

namespace {

// A mapping that pages migrate under, or a signal, ends early and is undone; it is worth
// trying again, but not for ever.
constexpr int kMostTries = 16;

// One call in all known cases: a range takes 16 bytes. The most is far beyond any answer.
constexpr size_t kFirstAnswerBytes = 1024, kMostAnswerBytes = size_t{1} << 20;

int call_kernel(void *, int fd, unsigned long request, uintptr_t argument) { return ioctl(fd, request, argument); }

bool wraps(uint64_t first, uint64_t len) { return first + (len - 1) < first; }

Outcome bad_range()
{
	return {Status::invalid, 0, "the length is zero, or the range goes beyond the last address there is"};
}

uint32_t vfio_flags(uint32_t dir)
{
	return (dir & kToDevice ? VFIO_DMA_MAP_FLAG_READ : 0u) | (dir & kFromDevice ? VFIO_DMA_MAP_FLAG_WRITE : 0u);
}

bool inside(const Span &span, uint64_t first, uint64_t last) { return span.first <= first && last <= span.last; }

}  // namespace

IoctlSource IoctlSource::kernel() { return {call_kernel, nullptr}; }

Outcome VfioType1::open(int container_fd, FdOwner owner, std::unique_ptr<VfioType1> &out, IoctlSource source)
{
	std::unique_ptr<VfioType1> backend(new VfioType1(container_fd, source));
	Outcome outcome = backend->check_container();
	if (!outcome.ok())
		return outcome;
	backend->owned_ = owner == FdOwner::backend;
	out = std::move(backend);
	return {};
}

VfioType1::~VfioType1()
{
	if (owned_)
		close(fd_);
}

// What the call returns, or minus its errno.
int VfioType1::try_call(unsigned long request, uintptr_t argument)
{
	for (int tries = 1;; tries++) {
		const int result = source_.call(source_.context, fd_, request, argument);
		if (result >= 0)
			return result;
		if ((errno != EINTR && errno != EAGAIN) || tries == kMostTries)
			return -errno;
	}
}

// Its errno, 0 where it succeeded.
template <class T> int VfioType1::call(unsigned long request, T &argument)
{
	const int result = try_call(request, reinterpret_cast<uintptr_t>(&argument));
	return result < 0 ? -result : 0;
}

Outcome VfioType1::check_container()
{
	const int version = try_call(VFIO_GET_API_VERSION, 0);
	if (version < 0)
		return {Status::invalid, -version,
			"this file descriptor is no VFIO container: open /dev/vfio/vfio, or take the one of "
			"rte_vfio_get_container_fd() after EAL has probed a device bound to vfio-pci"};
	if (version != VFIO_API_VERSION)
		return {Status::not_supported, 0, "the kernel's VFIO has an API version that is not known"};

	// Once the type is set only its driver answers.
	if (try_call(VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU) <= 0 &&
	    try_call(VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) <= 0) {
		if (try_call(VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU) > 0)
			return {Status::not_supported, 0,
				"VFIO runs without an IOMMU (enable_unsafe_noiommu_mode), so nothing translates "
				"addresses: turn the IOMMU on in the firmware and by intel_iommu=on or "
				"amd_iommu=on, or use a domain without translation"};
		return {Status::not_supported, 0,
			"the container knows no type1 IOMMU: load the module vfio_iommu_type1; other kinds (POWER's "
			"sPAPR) are not supported"};
	}
	Info ignored;
	return info(ignored);
}

Outcome VfioType1::info(Info &out)
{
	std::vector<std::byte> answer(kFirstAnswerBytes);
	while (answer.size() <= kMostAnswerBytes) {
		vfio_iommu_type1_info fixed = {};
		fixed.argsz = static_cast<uint32_t>(answer.size());
		std::memcpy(answer.data(), &fixed, sizeof fixed);
		if (const int error = call(VFIO_IOMMU_GET_INFO, *answer.data()))
			return info_failure(error);
		// It says how much it wants, and leaves out the chain where that is more.
		std::memcpy(&fixed, answer.data(), sizeof fixed);
		if (fixed.argsz <= answer.size())
			return parse_type1_info(answer, out);
		answer.assign(fixed.argsz, std::byte{});
	}
	return {Status::failed, 0, "the kernel's answer to VFIO_IOMMU_GET_INFO is absurdly long"};
}

// Only for words about a failure: the ranges may change meanwhile.
Placement VfioType1::place(uint64_t iova, uint64_t va, uint64_t len)
{
	Info now;
	if (const Outcome o = info(now); !o.ok())
		return o.status == Status::not_supported ? Placement::no_iommu : Placement::unknown;
	const uint64_t smallest = uint64_t{1} << std::countr_zero(now.page_sizes);
	if ((iova | va | len) & (smallest - 1))
		return Placement::misaligned;
	for (const Span &span : now.valid)
		if (inside(span, iova, iova + (len - 1)))
			return Placement::fits;
	return Placement::outside;
}

// Whether it is certain that nothing is mapped there. The kernel says so to whoever wants to
// map: that something is in the way it says first, then that there is no memory at address
// 0, or no mapping left.
bool VfioType1::nothing_at(uint64_t iova, uint64_t len)
{
	vfio_iommu_type1_dma_map request = {};
	request.argsz = sizeof request;
	request.flags = VFIO_DMA_MAP_FLAG_READ;
	request.iova = iova;
	request.size = len;
	const int error = call(VFIO_IOMMU_MAP_DMA, request);
	if (error != 0)
		return error == EFAULT || error == ENOSPC;
	vfio_iommu_type1_dma_unmap undo = {};
	undo.argsz = sizeof undo;
	undo.iova = iova;
	undo.size = len;
	return call(VFIO_IOMMU_UNMAP_DMA, undo) == 0 && undo.size == len;
}

Outcome VfioType1::map(uint64_t iova, void *va, uint64_t len, uint32_t dir)
{
	const auto address = reinterpret_cast<uintptr_t>(va);
	if (len == 0 || wraps(iova, len) || wraps(address, len))
		return bad_range();
	if (dir == 0 || (dir & ~uint32_t{kBidirectional}))
		return {Status::invalid, 0, "the direction is not one of to device, from device, both"};

	vfio_iommu_type1_dma_map request = {};
	request.argsz = sizeof request;
	request.flags = vfio_flags(dir);
	request.vaddr = address;
	request.iova = iova;
	request.size = len;
	const int error = call(VFIO_IOMMU_MAP_DMA, request);
	if (error == 0)
		return {};
	return map_failure(error, place(iova, address, len), len, read_kernel_limits());
}

Outcome VfioType1::unmap(uint64_t iova, uint64_t len, uint64_t mapped)
{
	if (len == 0 || wraps(iova, len))
		return bad_range();

	vfio_iommu_type1_dma_unmap request = {};
	request.argsz = sizeof request;
	request.iova = iova;
	request.size = len;
	if (const int error = call(VFIO_IOMMU_UNMAP_DMA, request)) {
		const Placement placement = place(iova, 0, len);
		// With its last device a container loses its IOMMU and all mappings: it is done.
		return placement == Placement::no_iommu ? Outcome{} : unmap_failure(error, placement);
	}
	// Gone before: with its last device, when another one came since; or somebody else's doing.
	if (request.size == 0 && nothing_at(iova, len))
		return {};
	if (request.size != mapped)
		return unmap_mismatch(request.size, mapped);
	return {};
}

}  // namespace iovad::dma
