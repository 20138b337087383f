// SPDX-License-Identifier: BSD-3-Clause
// For how long after the call of a lazy unmap devices could still reach the memory: of samples, one at
// a time, watched by the lcore that unmapped it.
//
// The library does not tell when a translation went, but it can be caught between two moments:
//
//   at least  Until the last look at which iovad_iova2va() still led to the memory. Lookups end
//             before the translation does.
//   at most   Until the first look at which nothing deferred was as old as the sample
//             (deferred_oldest_us). That is an upper bound by itself, too high by up to the time
//             between two passes of the control thread, and reading it takes a lock: rarely, then,
//             and only after the lookup failed.
//
#pragma once

#include <cstdint>

#include <rte_cycles.h>

#include <iovad/iovad_dma.h>

#include "measure/histogram.h"

namespace iovad::perf {

class Exposure {
public:
	Exposure(iovad_domain *domain, uint64_t size)
		: domain_(domain), size_(size), us_(rte_get_tsc_hz() / 1'000'000)
	{
	}

	bool watching() const noexcept { return watching_; }

	// called: when unmap was.
	void watch(rte_iova_t iova, const void *va, uint64_t called) noexcept
	{
		iova_ = iova;
		va_ = va;
		called_ = last_found_ = next_look_ = called;
		found_ = watching_ = true;
	}

	// Mapped once more it may be found for that.
	void mapped(const void *va) noexcept { found_ = found_ && va != va_; }

	void look() noexcept
	{
		const uint64_t now = rte_rdtsc();
		if (!watching_ || now < next_look_)
			return;
		found_ = found_ && iovad_iova2va(domain_, iova_, size_) == va_;
		if (found_) {
			last_found_ = now;
			next_look_ = now + kLookUs * us_;
			return;
		}
		next_look_ = now + kAskUs * us_;
		iovad_domain_stats stats;
		if (iovad_domain_stats_get(domain_, &stats) != 0 ||
		    (stats.deferred_oldest_us + 1) * us_ >= now - called_)
			return;
		at_least_.record(last_found_ - called_);
		at_most_.record(rte_rdtsc() - called_);
		watching_ = false;
	}

	const Histogram &at_least() const { return at_least_; }
	const Histogram &at_most() const { return at_most_; }

private:
	static constexpr uint64_t kLookUs = 20, kAskUs = 200;

	iovad_domain *domain_;
	uint64_t size_;
	uint64_t us_;  // in ticks
	rte_iova_t iova_ = 0;
	const void *va_ = nullptr;
	uint64_t called_ = 0, last_found_ = 0, next_look_ = 0;
	bool found_ = false, watching_ = false;
	Histogram at_least_, at_most_;
};

}  // namespace iovad::perf
