// SPDX-License-Identifier: BSD-3-Clause
// A container as type1 documents itself, in memory: stands in for ioctl(2) where a real
// kernel cannot be brought to say something. What the kernel really does is seen in
// type1_kernel_test.
#pragma once

#include <linux/vfio.h>

#include <cerrno>
#include <cstdint>
#include <map>
#include <vector>

#include "answer.h"
#include "dma/vfio/vfio_type1.h"

namespace iovad::dma {

struct Type1Model {
	enum Type { kNone, kV1 = VFIO_TYPE1_IOMMU, kV2 = VFIO_TYPE1v2_IOMMU };
	struct Mapping {
		uint64_t va, len;
		uint32_t flags;
		bool others = false;  // another process made it: before Linux 6.0 only that one removes it
	};

	// What the machine is.
	Type type = kV1;
	int api_version = VFIO_API_VERSION;
	bool knows_type1 = true, noiommu = false;
	uint64_t page_sizes = (1u << 12) | (1u << 21);
	std::vector<vfio_iova_range> valid = {{0, 0xfedfffff}, {0xfef00000, 0x7fffffffff}};
	uint32_t entry_limit = 65535;
	size_t padding = 0;  // capabilities of no meaning: a long answer

	// The next calls of that kind fail.
	unsigned long fail_request = 0;
	int fail_errno = 0, fail_times = 0;

	// What there is.
	std::map<uint64_t, Mapping> mappings;
	int calls = 0;

	IoctlSource source() { return {entry, this}; }

	void fail(unsigned long request, int error, int times)
	{
		fail_request = request;
		fail_errno = error;
		fail_times = times;
	}

private:
	static int entry(void *self, int fd, unsigned long request, uintptr_t argument)
	{
		const int result = static_cast<Type1Model *>(self)->call(fd, request, argument);
		if (result >= 0)
			return result;
		errno = -result;
		return -1;
	}

	int call(int fd, unsigned long request, uintptr_t argument)
	{
		calls++;
		if (fd < 0)
			return -EBADF;
		if (fail_times > 0 && request == fail_request) {
			fail_times--;
			return -fail_errno;
		}
		switch (request) {
		case VFIO_GET_API_VERSION:
			return api_version;
		case VFIO_CHECK_EXTENSION:
			return (knows_type1 && (argument == VFIO_TYPE1_IOMMU || argument == VFIO_TYPE1v2_IOMMU)) ||
			       (noiommu && argument == VFIO_NOIOMMU_IOMMU);
		}
		if (type == kNone)
			return -EINVAL;
		switch (request) {
		case VFIO_IOMMU_GET_INFO:
			return get_info(reinterpret_cast<std::byte *>(argument));
		case VFIO_IOMMU_MAP_DMA:
			return map(*reinterpret_cast<const vfio_iommu_type1_dma_map *>(argument));
		case VFIO_IOMMU_UNMAP_DMA:
			return unmap(*reinterpret_cast<vfio_iommu_type1_dma_unmap *>(argument));
		}
		return -ENOTTY;
	}

	int get_info(std::byte *answer) const
	{
		Answer full(page_sizes);
		for (size_t i = 0; i < padding; i++)
			full.unknown(77);
		full.migration().budget(entry_limit - static_cast<uint32_t>(mappings.size())).ranges(valid);

		vfio_iommu_type1_info fixed;
		std::memcpy(&fixed, answer, sizeof fixed);
		if (fixed.argsz >= full.bytes().size()) {
			full.put(0, fixed.argsz);
			std::memcpy(answer, full.bytes().data(), full.bytes().size());
			return 0;
		}
		std::memcpy(&fixed, full.bytes().data(), sizeof fixed);
		fixed.argsz = static_cast<uint32_t>(full.bytes().size());
		fixed.cap_offset = 0;
		std::memcpy(answer, &fixed, sizeof fixed);
		return 0;
	}

	bool is_valid(uint64_t first, uint64_t last) const
	{
		for (const vfio_iova_range &range : valid)
			if (range.start <= first && last <= range.end)
				return true;
		return false;
	}
	bool aligned(uint64_t bits) const { return (bits & ((page_sizes & -page_sizes) - 1)) == 0; }

	// The first mapping that reaches into the range.
	std::map<uint64_t, Mapping>::iterator find(uint64_t iova, uint64_t len)
	{
		auto it = mappings.upper_bound(iova);
		if (it != mappings.begin()) {
			auto before = std::prev(it);
			if (before->first + (before->second.len - 1) >= iova)
				return before;
		}
		return it != mappings.end() && it->first <= iova + (len - 1) ? it : mappings.end();
	}

	int map(const vfio_iommu_type1_dma_map &m)
	{
		if (m.argsz < sizeof m || !m.size || !m.flags || !aligned(m.iova | m.vaddr | m.size))
			return -EINVAL;
		if (find(m.iova, m.size) != mappings.end())
			return -EEXIST;
		if (mappings.size() >= entry_limit)
			return -ENOSPC;
		if (!is_valid(m.iova, m.iova + (m.size - 1)))
			return -EINVAL;
		if (m.vaddr == 0)  // there is never memory
			return -EFAULT;
		mappings[m.iova] = {m.vaddr, m.size, m.flags, false};
		return 0;
	}

	bool cuts(uint64_t iova, uint64_t len)
	{
		const auto first = find(iova, 1), last = find(iova + (len - 1), 1);
		return (first != mappings.end() && first->first != iova) ||
		       (last != mappings.end() && last->first + (last->second.len - 1) != iova + (len - 1));
	}

	int unmap(vfio_iommu_type1_dma_unmap &m)
	{
		if (m.argsz < sizeof m || !m.size || !aligned(m.iova | m.size))
			return -EINVAL;
		if (type == kV2 && cuts(m.iova, m.size))
			return -EINVAL;
		uint64_t unmapped = 0;
		for (auto it = find(m.iova, m.size); it != mappings.end(); it = find(m.iova, m.size)) {
			if (it->second.others || (type == kV1 && it->first < m.iova))
				break;
			unmapped += it->second.len;
			mappings.erase(it);
		}
		m.size = unmapped;
		return 0;
	}
};

}  // namespace iovad::dma
