// SPDX-License-Identifier: BSD-3-Clause
// Builds answers to VFIO_IOMMU_GET_INFO as the kernel lays them out, or worse.
#pragma once

#include <linux/vfio.h>

#include <cstddef>
#include <cstring>
#include <vector>

namespace iovad::dma {

class Answer {
public:
	explicit Answer(uint64_t page_sizes, uint32_t flags = VFIO_IOMMU_INFO_PGSIZES)
	{
		vfio_iommu_type1_info fixed = {};
		fixed.argsz = sizeof fixed;
		fixed.flags = flags;
		fixed.iova_pgsizes = page_sizes;
		append(fixed);
	}

	Answer &ranges(const std::vector<vfio_iova_range> &list, uint16_t version = 1)
	{
		vfio_iommu_type1_info_cap_iova_range cap = {};
		cap.nr_iovas = static_cast<uint32_t>(list.size());
		start(cap, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, version);
		for (const vfio_iova_range &range : list)
			append(range);
		return *this;
	}
	Answer &migration()
	{
		vfio_iommu_type1_info_cap_migration cap = {};
		cap.pgsize_bitmap = 4096;
		return start(cap, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, 1);
	}
	Answer &budget(uint32_t left, uint16_t version = 1)
	{
		vfio_iommu_type1_info_dma_avail cap = {};
		cap.avail = left;
		return start(cap, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, version);
	}
	Answer &unknown(uint16_t id)
	{
		vfio_info_cap_header cap = {};
		return start(cap, id, 1);
	}

	// Overwrite what stands at an offset.
	template <class T> Answer &put(size_t offset, T value)
	{
		std::memcpy(bytes_.data() + offset, &value, sizeof value);
		return *this;
	}
	// Where the newest capability begins.
	size_t last() const { return last_; }

	Answer &cut(size_t size)
	{
		bytes_.resize(size);
		return *this;
	}
	const std::vector<std::byte> &bytes() const { return bytes_; }

private:
	template <class T> void append(const T &part)
	{
		const size_t at = bytes_.size();
		bytes_.resize(at + sizeof part);
		std::memcpy(bytes_.data() + at, &part, sizeof part);
	}
	// Each has a header first, and is the end of the chain until the next one comes.
	template <class T> Answer &start(T cap, uint16_t id, uint16_t version)
	{
		const vfio_info_cap_header header = {id, version, 0};
		std::memcpy(static_cast<void *>(&cap), &header, sizeof header);
		const auto at = static_cast<uint32_t>(bytes_.size());
		if (last_)
			put(last_ + offsetof(vfio_info_cap_header, next), at);
		else
			put(offsetof(vfio_iommu_type1_info, cap_offset), at);
		uint32_t flags;
		std::memcpy(&flags, bytes_.data() + offsetof(vfio_iommu_type1_info, flags), sizeof flags);
		put(offsetof(vfio_iommu_type1_info, flags), flags | VFIO_IOMMU_INFO_CAPS);
		last_ = at;
		append(cap);
		return *this;
	}

	std::vector<std::byte> bytes_;
	size_t last_ = 0;
};

}  // namespace iovad::dma
