// SPDX-License-Identifier: BSD-3-Clause
#include "dma/quarantine.h"

#include <algorithm>

#include "core/clock.h"

namespace iovad::dma {

using core::MappingRecord;

namespace {

constexpr uint32_t kFirstPauseMs = 10, kLongestPauseMs = 1000;

uint32_t pause_ms(unsigned tries)
{
	return std::min(kFirstPauseMs << std::min(tries - 1, 7u), kLongestPauseMs);
}

}  // namespace

Quarantine::Quarantine(core::MappingTable::Counters &counters) : counters_(counters), begin_(core::now_ns()) {}

void Quarantine::add(MappingRecord *record, uint64_t now)
{
	record->tries += record->tries != UINT8_MAX;
	record->retry_at_ms = static_cast<uint32_t>((now - begin_) / core::kMillisecond) + pause_ms(record->tries);
	put_back(record);
}

void Quarantine::put_back(MappingRecord *record)
{
	counters_.quarantined_ranges.fetch_add(1, std::memory_order_relaxed);
	counters_.quarantined_bytes.fetch_add(record->mapping().len, std::memory_order_relaxed);
	std::lock_guard guard(mutex_);
	record->next = list_;
	list_ = record;
}

bool Quarantine::holds(uint64_t iova)
{
	if (empty())
		return false;
	std::lock_guard guard(mutex_);
	const MappingRecord *r = list_;
	while (r && !r->mapping().holds_iova(iova, 1))
		r = r->next;
	return r != nullptr;
}

template <class Choose> MappingRecord *Quarantine::take(Choose choose)
{
	if (empty())
		return nullptr;
	MappingRecord *taken = nullptr;
	std::lock_guard guard(mutex_);
	for (MappingRecord **link = &list_; *link;) {
		MappingRecord *record = *link;
		if (!choose(*record)) {
			link = &record->next;
			continue;
		}
		*link = record->next;
		record->next = taken;
		taken = record;
		counters_.quarantined_ranges.fetch_sub(1, std::memory_order_relaxed);
		counters_.quarantined_bytes.fetch_sub(record->mapping().len, std::memory_order_relaxed);
	}
	return taken;
}

MappingRecord *Quarantine::take_due(uint64_t now)
{
	const auto now_ms = static_cast<uint32_t>((now - begin_) / core::kMillisecond);
	// In a circle: the milliseconds wrap after seven weeks.
	return take([=](const MappingRecord &r) { return static_cast<int32_t>(now_ms - r.retry_at_ms) >= 0; });
}

MappingRecord *Quarantine::take_all()
{
	return take([](const MappingRecord &) { return true; });
}

}  // namespace iovad::dma
