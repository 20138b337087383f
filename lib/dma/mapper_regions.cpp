// SPDX-License-Identifier: BSD-3-Clause
// Regions, and those in windows: memory that stays mapped until it is removed.
#include <iterator>
#include <mutex>

#include "dma/mapper.h"

namespace iovad::dma {

using core::LockGuard;
using core::MappingRecord;

Outcome Mapper::add_region(const void *va, uint64_t len, uint64_t limit, uint32_t dir, uint64_t &iova,
			   Installer installer)
{
	Memory m;
	if (!memory_of(va, len, dir, m))
		return {Status::invalid};
	const uint64_t first = m.va + m.offset;
	std::lock_guard guard(regions_mutex_);
	const auto next = regions_.lower_bound(first);
	if (next != regions_.end() && next->first - first < len)
		return {Status::exists};
	if (next != regions_.begin()) {
		const auto &[start, before] = *std::prev(next);
		if (first - start < before.len)
			return {Status::exists};
	}
	if (const Outcome o = bring_in(m, dir); !o.ok())
		return o;
	const auto place = regions_.emplace_hint(next, first, Region{len, nullptr});
	MappingRecord *record;
	const Kind kind = installer == Installer::us ? Kind::region : Kind::installed_region;
	const Outcome o = map_or_make_room(core::kNoLcore, m, limit, dir, kind, record, iova);
	if (o.ok())
		place->second.record = record;
	else
		regions_.erase(place);
	return o;
}

Outcome Mapper::bring_in(const Memory &m, uint32_t dir)
{
	if (!backend_->pins_memory())
		return {};
	const int error = prefault(reinterpret_cast<void *>(m.va), m.len, (dir & kFromDevice) != 0, helpers_);
	if (error == 0)
		return {};
	return {Status::bad_memory, error, "the memory is not there, or devices are to write to what is read-only"};
}

Outcome Mapper::remove_region(const void *va, uint64_t len)
{
	std::lock_guard guard(regions_mutex_);
	const auto place = regions_.find(reinterpret_cast<uint64_t>(va));
	if (place == regions_.end() || place->second.len != len)
		return {Status::not_found};
	MappingRecord *record = place->second.record;
	if (const Outcome o = end_region(record); !o.ok())
		return o;
	regions_.erase(place);
	return remove_ended(record);
}

// From then on nobody finds it.
Outcome Mapper::end_region(MappingRecord *record)
{
	if (in_use(*record))
		retirer_.drain(core::kNoLcore);
	LockGuard records(table_.lock());
	if (record->whole != 0 || record->part != 0)
		return {Status::busy};
	table_.remove(record);
	record->region = false;
	return {};
}

Outcome Mapper::remove_ended(MappingRecord *record)
{
	feed_table(false);
	return removal_.remove(core::kNoLcore, record);
}

Outcome Mapper::add_in_window(uint64_t iova, const void *va, uint64_t len, uint32_t dir)
{
	Memory m;
	if (!memory_of(va, len, dir, m) || m.len != len || !in_window(iova, len))
		return {Status::invalid};
	if (const Outcome o = bring_in(m, dir); !o.ok())
		return o;
	MappingRecord *record;
	return map_or_make_room(core::kNoLcore, m, 0, dir, Kind::region_in_window, record, iova);
}

bool Mapper::in_window(uint64_t iova, uint64_t len) const
{
	const core::Geometry &g = domain_.geometry();
	if (!g.holds(iova, len))
		return false;
	const core::Extent e = domain_.find(iova);
	return e.value == core::kLive && g.pfn(iova) + g.pfn(len) <= e.end;
}

Outcome Mapper::remove_from_window(uint64_t iova)
{
	MappingRecord *record;
	{
		LockGuard guard(table_.lock());
		record = table_.record_at(iova);
		if (!record || !record->in_window || record->mapping().iova != iova)
			return {Status::not_found};
	}
	// Who keeps the window is the only one that removes it, so it stays until then.
	if (const Outcome o = end_region(record); !o.ok())
		return o;
	return remove_ended(record);
}

// By more than being a region.
bool Mapper::in_use(MappingRecord &record)
{
	LockGuard guard(table_.lock());
	return record.whole != 0 || record.part != 0;
}

}  // namespace iovad::dma
