// SPDX-License-Identifier: BSD-3-Clause
#include "dma/vfio/type1_errors.h"

#include <cerrno>
#include <string>

#include "dma/vfio/static_text.h"

namespace iovad::dma {

namespace {

constexpr const char *kAttach =
	"no device is attached to the VFIO container, so it has no IOMMU: bind a device to vfio-pci "
	"(dpdk-devbind.py -b vfio-pci <address>) and attach it, or let EAL probe it, before; mappings end with "
	"the last device";

constexpr const char *kBudget =
	"all DMA mappings that the container may have are in use: map fewer and larger pieces (huge pages, "
	"regions), or write a larger value to /sys/module/vfio_iommu_type1/parameters/dma_entry_limit before "
	"the container gets its first device";

constexpr const char *kMemlock =
	"RLIMIT_MEMLOCK is reached: each mapping locks its memory, and memory that is mapped twice counts twice; "
	"raise it (ulimit -l unlimited; systemd: LimitMEMLOCK=infinity; docker: --ulimit memlock=-1) or give the "
	"process CAP_IPC_LOCK";

// "... (dma_entry_limit is 65535 now)"
const char *with_number(const char *text, const char *name, uint64_t value, const char *unit)
{
	return static_text(std::string(text) + " (" + name + " is " + std::to_string(value) + unit + " now)", text);
}

Outcome no_space(int error, const KernelLimits &limits)
{
	if (!limits.entry_limit)
		return {Status::no_space, error, kBudget};
	return {Status::no_space, error, with_number(kBudget, "dma_entry_limit", *limits.entry_limit, "")};
}

bool memlock_hit(uint64_t len, const KernelLimits &limits)
{
	if (!limits.memlock_bytes)
		return false;
	const uint64_t limit = *limits.memlock_bytes;
	return limits.locked_bytes >= limit || len > limit - limits.locked_bytes;
}

Outcome no_memory(int error, uint64_t len, const KernelLimits &limits)
{
	if (!memlock_hit(len, limits))
		return {Status::no_memory, error,
			"the kernel has no memory for the mapping (page tables, or the pages themselves); the "
			"limit of locked memory was not it"};
	return {Status::no_memory, error,
		with_number(kMemlock, "it", *limits.memlock_bytes / 1024, " KiB")};
}

// Nothing in the request explains it.
Outcome by_errno(int error)
{
	switch (error) {
	case EBADF:
		return {Status::invalid, error, "the VFIO container's file descriptor is not open (any more)"};
	case ENODEV:
	case ENOTTY:
		return {Status::not_supported, error, kAttach};
	case EPERM:
	case EACCES:
		return {Status::denied, error,
			"this process may not do it: a seccomp filter, a security module or missing privileges; "
			"see the kernel's log"};
	case EINTR:
	case EAGAIN:
		return {Status::again, error, "interrupted again and again; try later"};
	case EBUSY:
		return {Status::busy, error,
			"the container is between two processes (a live update has invalidated its addresses)"};
	default:
		return {Status::failed, error, "VFIO failed in a way that is not documented; see the kernel's log"};
	}
}

Outcome map_invalid(int error, Placement placement)
{
	switch (placement) {
	case Placement::no_iommu:
		return {Status::not_supported, error, kAttach};
	case Placement::misaligned:
		return {Status::invalid, error,
			"addresses or length are no multiples of the IOMMU's smallest page (see page_sizes)"};
	case Placement::outside:
		return {Status::invalid, error,
			"the I/O addresses are not all valid: beyond what the IOMMU can address, or reserved (for "
			"interrupts, by the firmware); valid ranges can shrink when a device joins, so read them "
			"again"};
	case Placement::fits:
	case Placement::unknown:
		break;
	}
	return {Status::invalid, error, "VFIO takes the request for invalid, and what is wrong with it is not known"};
}

bool explains(Placement p)
{
	return p == Placement::outside || p == Placement::misaligned || p == Placement::no_iommu;
}

}  // namespace

Outcome info_failure(int error)
{
	// EINVAL: no IOMMU type is set on the container.
	if (error == EINVAL)
		return {Status::not_supported, error, kAttach};
	if (error == ENOMEM)
		return {Status::no_memory, error, "the kernel has no memory to describe the container"};
	return by_errno(error);
}

Outcome map_failure(int error, Placement placement, uint64_t len, const KernelLimits &limits)
{
	switch (error) {
	case EEXIST:
		return {Status::exists, error,
			"some of the I/O addresses are mapped already: by EAL (keep the domain's window away from "
			"its IOVAs), or by whoever shares the container"};
	case ENOSPC:
		return no_space(error, limits);
	case ENOMEM:
		return no_memory(error, len, limits);
	case EINVAL:
	case ERANGE:
		return map_invalid(error, placement);
	case EFAULT:
		// Some IOMMU drivers say this of addresses that are too wide for them.
		if (explains(placement))
			return map_invalid(error, placement);
		return {Status::invalid, error,
			"the memory cannot be pinned: part of it is not mapped in the process, is read-only while "
			"the device is to write, or belongs to a file on disk (use hugetlbfs, memfd or anonymous "
			"memory)"};
	case EOPNOTSUPP:
		return {Status::not_supported, error,
			"this kind of memory cannot stay pinned (files on DAX); use hugetlbfs, memfd or anonymous "
			"memory"};
	default:
		return by_errno(error);
	}
}

Outcome unmap_failure(int error, Placement placement)
{
	if (error == ENOENT)
		return unmap_mismatch(0, 1);
	if (error != EINVAL)
		return by_errno(error);
	if (explains(placement) && placement != Placement::outside)
		return map_invalid(error, placement);
	return {Status::invalid, error,
		"the range cuts a mapping: unmap whole ones; nothing was unmapped"};
}

Outcome unmap_mismatch(uint64_t unmapped, uint64_t len)
{
	if (unmapped == 0)
		return {Status::not_found, 0,
			"nothing was unmapped although VFIO reports success: no mapping begins at this address, or "
			"another process made it (before Linux 6.0 only that one can unmap it)"};
	if (unmapped < len)
		return {Status::failed, 0,
			"less was unmapped than asked for: part of the range was not mapped, or still is (another "
			"process made it); what was unmapped is gone"};
	return {Status::failed, 0,
		"more was unmapped than asked for: the range ends inside a mapping, which is gone as a whole; "
		"devices that use the rest will fault"};
}

}  // namespace iovad::dma
