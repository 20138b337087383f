// SPDX-License-Identifier: BSD-3-Clause
#include "dma/soft/requester.h"

#include "core/spin_lock.h"
#include "dma/soft/soft_iommu.h"

namespace iovad::dma {

Requester::Requester(SoftIommu &iommu) : iommu_(iommu) { iommu_.requesters().add(this); }
Requester::~Requester() { iommu_.requesters().remove(this); }

void Requesters::add(Requester *requester)
{
	const std::lock_guard guard(mutex_);
	all_.push_back(requester);
}

void Requesters::remove(Requester *requester)
{
	const std::lock_guard guard(mutex_);
	std::erase(all_, requester);
}

bool Requesters::empty()
{
	const std::lock_guard guard(mutex_);
	return all_.empty();
}

bool Requesters::drain(std::chrono::microseconds limit)
{
	constexpr unsigned kSpins = 1000;
	const std::lock_guard guard(mutex_);
	const auto deadline = std::chrono::steady_clock::now() + limit;
	for (Requester *requester : all_) {
		const uint64_t turn = requester->turn();
		if (turn % 2 == 0)
			continue;
		for (unsigned i = 0; !requester->ended(turn); ++i) {
			core::cpu_relax();
			if (i < kSpins)
				continue;
			// It may be off the CPU, and this may be the CPU it needs.
			sched_yield();
			if (std::chrono::steady_clock::now() > deadline)
				return false;
		}
	}
	return true;
}

}  // namespace iovad::dma
