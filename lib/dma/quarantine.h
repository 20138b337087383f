// SPDX-License-Identifier: BSD-3-Clause
// Where mappings are whose translation could not be removed: found by nobody, their addresses
// handed out to nobody. Each is tried again after a pause that doubles, from 10 ms to 1 s.
#pragma once

#include <mutex>

#include "core/mapping_table.h"

namespace iovad::dma {

class Quarantine {
public:
	static constexpr unsigned kTriesReported = 10;

	explicit Quarantine(core::MappingTable::Counters &counters);

	// Another failed try. now: of CLOCK_MONOTONIC, in nanoseconds.
	void add(core::MappingRecord *record, uint64_t now);
	// One that was taken and not tried.
	void put_back(core::MappingRecord *record);
	// A list of those whose pause is over, or of all. They are the caller's.
	core::MappingRecord *take_due(uint64_t now);
	core::MappingRecord *take_all();

	bool holds(uint64_t iova);
	bool empty() const { return counters_.quarantined_ranges.load(std::memory_order_relaxed) == 0; }

private:
	template <class Choose> core::MappingRecord *take(Choose choose);

	core::MappingTable::Counters &counters_;
	const uint64_t begin_;
	std::mutex mutex_;
	core::MappingRecord *list_ = nullptr;
};

}  // namespace iovad::dma
