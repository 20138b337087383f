// SPDX-License-Identifier: BSD-3-Clause
// What a queue of the device does to memory: through its domain's software IOMMU, and nothing
// that the IOMMU, or the domain's records, do not allow. The records are asked as well, since an
// IOMMU knows pages and lets an access run from one mapping into the next.
#pragma once

#include "loop/counter.h"
#include "loop/misuse.h"

namespace iovad::loop {

class Dma {
public:
	Dma(uint16_t queue, uint32_t dir, Reports &reports) : queue_(queue), dir_(dir), reports_(reports) {}
	~Dma() { close(); }
	Dma(const Dma &) = delete;
	Dma &operator=(const Dma &) = delete;

	// 0 or a negative errno: that of iovad_device_create().
	int open(iovad_domain *domain);
	void close();

	// What is reached is good from begin() to end(). Whoever is inside frees nothing.
	void begin() { iovad_device_begin(device_); }
	void end() { iovad_device_end(device_); }
	// len > 0, of what mbuf holds. Null: refused, counted, reported.
	char *reach(rte_iova_t iova, uint32_t len, const rte_mbuf *mbuf)
	{
		iovad_fault why;
		void *memory = iovad_device_reach(device_, iova, len, dir_, &why);
		if (memory && iovad_iova2va(domain_, iova, len)) [[likely]]
			return static_cast<char *>(memory);
		refuse(iova, len, mbuf, why);
		return nullptr;
	}

	uint64_t count(Misuse misuse) const { return counts_[static_cast<unsigned>(misuse)].get(); }

private:
	void refuse(rte_iova_t iova, uint32_t len, const rte_mbuf *mbuf, iovad_fault why);

	const uint16_t queue_;
	const uint32_t dir_;
	Reports &reports_;
	iovad_domain *domain_ = nullptr;
	iovad_device *device_ = nullptr;
	Counter counts_[kMisuses];
};

}  // namespace iovad::loop
