// SPDX-License-Identifier: BSD-3-Clause
#include "dma/vfio/type1_info.h"

#include <linux/vfio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace iovad::dma {

namespace {

using Bytes = std::span<const std::byte>;

constexpr uint64_t kNarrowestLast = (uint64_t{1} << 39) - 1;
constexpr Span kArmMsi = {0x08000000, 0x080fffff};
constexpr Span kX86Msi = {0xfee00000, 0xfeefffff};

// Old kernels write no further; the rest reads as zero.
constexpr size_t kShortestAnswer = offsetof(vfio_iommu_type1_info, cap_offset);

// All known capabilities are of version 1.
constexpr uint16_t kKnownVersion = 1;

// By copying: an offset that the kernel gives promises no alignment.
template <class T> bool read(Bytes bytes, uint64_t offset, T &out)
{
	if (offset > bytes.size() || bytes.size() - offset < sizeof out)
		return false;
	std::memcpy(&out, bytes.data() + offset, sizeof out);
	return true;
}

Outcome not_understood(const char *advice) { return {Status::failed, 0, advice}; }

Outcome out_of_bounds()
{
	return not_understood("the kernel's answer to VFIO_IOMMU_GET_INFO is inconsistent: a capability "
			      "does not lie inside it; report it with the kernel's version");
}

std::vector<Span> assumed_ranges()
{
	return {{0, kArmMsi.first - 1},
		{kArmMsi.last + 1, kX86Msi.first - 1},
		{kX86Msi.last + 1, kNarrowestLast}};
}

// Ascending and disjoint is what the seam promises; the kernel does not say it does.
void normalize(std::vector<Span> &spans)
{
	std::sort(spans.begin(), spans.end(), [](Span a, Span b) { return a.first < b.first; });
	size_t kept = 0;
	for (const Span s : spans) {
		if (kept && s.first <= spans[kept - 1].last)
			spans[kept - 1].last = std::max(spans[kept - 1].last, s.last);
		else
			spans[kept++] = s;
	}
	spans.resize(kept);
}

Outcome read_ranges(Bytes answer, uint64_t offset, std::vector<Span> &out)
{
	vfio_iommu_type1_info_cap_iova_range cap;
	if (!read(answer, offset, cap))
		return out_of_bounds();
	offset += sizeof cap;
	// Before anything is allocated for them.
	if (cap.nr_iovas > (answer.size() - offset) / sizeof(vfio_iova_range))
		return out_of_bounds();

	std::vector<Span> spans;
	spans.reserve(cap.nr_iovas);
	for (uint32_t i = 0; i < cap.nr_iovas; i++, offset += sizeof(vfio_iova_range)) {
		vfio_iova_range range;
		if (!read(answer, offset, range))
			return out_of_bounds();
		if (range.start > range.end)
			return not_understood("the kernel's answer to VFIO_IOMMU_GET_INFO is inconsistent: a range "
					      "of addresses ends before it begins; report it with the kernel's "
					      "version");
		spans.push_back({range.start, range.end});
	}
	normalize(spans);
	out = std::move(spans);
	return {};
}

struct Found {
	bool ranges = false, budget = false;
};

Outcome read_capability(Bytes answer, uint64_t offset, const vfio_info_cap_header &header, Info &info,
			Found &found)
{
	if (header.version != kKnownVersion)
		return {};
	if (header.id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE && !found.ranges) {
		found.ranges = true;
		return read_ranges(answer, offset, info.valid);
	}
	if (header.id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL && !found.budget) {
		vfio_iommu_type1_info_dma_avail cap;
		if (!read(answer, offset, cap))
			return out_of_bounds();
		found.budget = true;
		info.mappings_left = cap.avail;
	}
	return {};
}

Outcome read_chain(Bytes answer, uint64_t offset, Info &info, Found &found)
{
	// No more capabilities than headers fit: what goes on after that is a loop.
	size_t steps = answer.size() / sizeof(vfio_info_cap_header);
	for (; offset; steps--) {
		vfio_info_cap_header header;
		if (!read(answer, offset, header) || offset < kShortestAnswer || steps == 0)
			return out_of_bounds();
		if (const Outcome o = read_capability(answer, offset, header, info, found); !o.ok())
			return o;
		offset = header.next;
	}
	return {};
}

uint64_t page_sizes(const vfio_iommu_type1_info &fixed)
{
	if ((fixed.flags & VFIO_IOMMU_INFO_PGSIZES) && fixed.iova_pgsizes)
		return fixed.iova_pgsizes;
	return static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

Outcome parse_type1_info(Bytes answer, Info &out)
{
	if (answer.size() < kShortestAnswer)
		return not_understood("the kernel's answer to VFIO_IOMMU_GET_INFO is too short; report it with "
				      "the kernel's version");
	vfio_iommu_type1_info fixed = {};
	std::memcpy(&fixed, answer.data(), std::min(answer.size(), sizeof fixed));

	Info info;
	info.page_sizes = page_sizes(fixed);
	Found found;
	if (fixed.flags & VFIO_IOMMU_INFO_CAPS)
		if (const Outcome o = read_chain(answer, fixed.cap_offset, info, found); !o.ok())
			return o;
	if (!found.ranges)
		info.valid = assumed_ranges();
	out = std::move(info);
	return {};
}

}  // namespace iovad::dma
