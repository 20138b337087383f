// SPDX-License-Identifier: BSD-3-Clause
// What the calls of a replay are made on: addresses alone, or memory that is mapped at them. Each slot
// has memory of its own, since buffers of the same pages would share what is mapped. None of it is
// ever touched, so it takes addresses only.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <iovad/iovad_dma.h>

#include "measure/memory.h"
#include "replay/replay_plan.h"

namespace iovad::perf {

constexpr uint64_t kGranule = 4096;
constexpr uint64_t kFirstIova = 4096;
constexpr uint64_t kLastIova = 0xffffffff;  // the traces' devices reach 32 bits

class Target {
public:
	Target(const Plan &plan, iovad_domain *domain, bool maps);

	bool maps() const { return memory_.has_value(); }
	uint64_t len_of(uint32_t slot) const { return (plan_.slots[slot].size + kGranule - 1) / kGranule * kGranule; }

	int take(uint32_t slot, uint64_t len, rte_iova_t &iova) const noexcept
	{
		if (!memory_)
			return iovad_alloc(domain_, len, kLastIova, &iova);
		return iovad_map(domain_, memory_->at(offsets_[slot]), len, kLastIova, IOVAD_BIDIRECTIONAL, &iova);
	}

	int give_back(rte_iova_t iova, uint64_t len) const noexcept
	{
		return memory_ ? iovad_unmap(domain_, iova, len) : iovad_free(domain_, iova, len);
	}

private:
	const Plan &plan_;
	iovad_domain *domain_;
	std::vector<uint64_t> offsets_;  // by slot
	std::optional<Memory> memory_;
};

}  // namespace iovad::perf
