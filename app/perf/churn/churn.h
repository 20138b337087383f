// SPDX-License-Identifier: BSD-3-Clause
// Lcores that map and unmap buffers, each those of its own memory, in turn: with so many mapped as
// the depth says, the oldest is unmapped and the next one mapped.
//
// Buffers do not share granules, and an lcore has more of them than may be deferred beside those it
// holds. So none is mapped while its last mapping is deferred; they would share it, and the
// backend would have nothing to do.
//
// What is timed: the call alone, as in a replay. A pair is one map and one unmap.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <iovad/iovad_dma.h>

#include "churn/churn_options.h"
#include "measure/histogram.h"
#include "measure/memory.h"
#include "measure/ownership.h"

namespace iovad::perf {

constexpr uint64_t kChurnGranule = 4096;
// Above what EAL maps of its own, below where a narrow IOMMU of 39 bits ends.
constexpr uint64_t kChurnFirst = uint64_t(1) << 38;

struct BufferPlan {
	uint64_t stride;      // from one buffer to the next
	uint64_t per_lcore;   // buffers
	uint64_t total;       // bytes, of all lcores
	uint64_t iova_last;   // of a window with room for all, and for what caches hold
	uint64_t max_ranges;

	BufferPlan(const ChurnOptions &options, size_t lcores);
};

struct ChurnResult {
	uint64_t begin_tick = UINT64_MAX, end_tick = 0;  // with the depth reached, on all lcores
	uint64_t pairs = 0;                              // between them
	uint64_t mapped = 0;                             // before and after too
	Histogram map_ticks, unmap_ticks;                // calls that succeeded, between them
	Histogram exposed_at_least, exposed_at_most;     // of samples, in ticks
	uint64_t failed_maps = 0, failed_unmaps = 0;
	int first_error = 0;
	uint64_t overlaps = 0;  // addresses that somebody else held
	uint64_t astray = 0;    // that lie outside the domain, or lead elsewhere
	uint64_t still_owned = 0;
};

class Churn {
public:
	// All must outlive this. lcores: EAL's numbers.
	Churn(const ChurnOptions &options, const BufferPlan &buffers, const Memory &memory, Mode mode,
	      iovad_domain *domain, const std::vector<unsigned> &lcores);
	~Churn();

	// On all lcores, as run_on_lcores(); all is unmapped when it returns.
	ChurnResult run();

private:
	class Worker;

	uint64_t progress() const;
	void say_where() const;

	const ChurnOptions &options_;
	const BufferPlan &buffers_;
	const Memory &memory_;
	const Mode mode_;
	iovad_domain *domain_;
	std::vector<unsigned> lcores_;
	Ownership ownership_;
	std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace iovad::perf
