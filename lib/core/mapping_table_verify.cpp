// SPDX-License-Identifier: BSD-3-Clause
// Everything that is known of mappings, recomputed from the records.
#include "core/mapping_table.h"

#include <cstdio>

namespace iovad::core {

struct MappingTable::Census {
	uint32_t mapped = 0, pending = 0, shadowed = 0;
	uint64_t pages = 0, unshadowed_pages = 0;
};

const char *MappingTable::count_records(Census &c) const
{
	for (uint32_t i = 0; i < record_count_; ++i) {
		const MappingRecord &r = records_[i];
		const uint64_t pages = r.len.load(std::memory_order_relaxed) >> shift_;
		c.pending += r.pending;
		c.shadowed += r.shadowed;
		if (!r.mapped) {
			if (r.shadowed)
				return "what is not mapped is shadowed";
			continue;
		}
		if (r.pending)
			return "a record is mapped and still to be added";
		if (!r.used())
			return "a mapping has no user";
		++c.mapped;
		c.pages += pages;
		c.unshadowed_pages += r.shadowed ? 0 : pages;
	}
	uint32_t free = 0;
	for (const MappingRecord *r = free_; r && free <= record_count_; r = r->next)
		++free;
	if (free + live_ != record_count_)
		return "records are lost";
	if (c.pending != pending_ || c.shadowed != shadowed_ || c.mapped + c.pending > live_)
		return "records are not what was counted";
	return pool_.count() < kTablesNeeded * pending_ ? "tables were promised twice" : nullptr;
}

// Unless it lacks tables, each of its pages is found, in this mapping or one that does not make way.
const char *MappingTable::check_shadowed(const MappingRecord &r) const
{
	const Mapping m = r.mapping();
	for (uint64_t at = m.va; !starved_ && at < m.va + m.len; at += uint64_t{1} << shift_) {
		const PageIndex::Entry e = by_va_.find(first_page(at));
		if (e == 0)
			return "a page that is mapped is not found";
		if (newest_first_ && makes_way(records_[number(e)], r))
			return "a page is found in a mapping that should have made way";
	}
	return nullptr;
}

// Slots are disjoint and each lies in the mapping it names, so a sum of pages that agrees
// means that all of them are there.
const char *MappingTable::check_indexes(const Census &c) const
{
	bool stray_iova = false, stray_va = false;
	uint64_t iova_pages = 0, unshadowed_pages = 0;
	const auto named = [this](PageIndex::Entry e) {
		const uint32_t n = number(e);
		const bool good = n < record_count_ && records_[n].mapped && entry(&records_[n]) == e;
		return good ? &records_[n] : nullptr;
	};
	by_iova_.for_each([&](Pfn first, Pfn pages, PageIndex::Entry e) {
		const MappingRecord *r = named(e);
		stray_iova |= !r || !r->mapping().holds_iova(first << shift_, pages << shift_);
		iova_pages += pages;
	});
	by_va_.for_each([&](Pfn first, Pfn pages, PageIndex::Entry e) {
		const MappingRecord *r = named(e);
		stray_va |= !r || !r->mapping().holds_va(first << shift_, pages << shift_);
		unshadowed_pages += r && !r->shadowed ? pages : 0;
	});
	if (stray_iova || iova_pages != c.pages)
		return "the index by I/O virtual address is wrong";
	if (stray_va || unshadowed_pages != c.unshadowed_pages)
		return "the index by virtual address is wrong";
	return nullptr;
}

const char *MappingTable::check_shadows()
{
	uint32_t found = 0, regions = 0;
	const auto walk = [&](MappingRecord *const &head) {
		uint32_t before = 0;
		for (MappingRecord *r = head; r && found <= shadowed_; r = r->next) {
			if (!r->mapped || !r->shadowed || &bucket_of(*r) != &head || r->before != before)
				return false;
			before = place_of(r);
			++found;
			regions += r->region;
		}
		return true;
	};
	bool good = walk(large_);
	for (const auto &level : buckets_) {
		for (MappingRecord *const &head : level)
			good &= walk(head);
	}
	return good && found == shadowed_ && regions == shadowed_regions_ ? nullptr
									   : "the shadowed mappings are not where they belong";
}

bool MappingTable::verify(FILE *why, AddressSpace &space)
{
	LockGuard guard(lock_);
	Census census;
	const char *wrong = count_records(census);
	if (!wrong)
		wrong = check_indexes(census);
	if (!wrong)
		wrong = check_shadows();
	for (uint32_t i = 0; !wrong && i < record_count_; ++i) {
		const MappingRecord &r = records_[i];
		if (!r.mapped)
			continue;
		const Mapping m = r.mapping();
		const Pfn first = first_page(m.iova);
		const Extent e = space.find(first);
		const bool begins = r.in_window ? e.start <= first : e.start == first - r.padding;
		if (!is_live(e.value) || !begins || e.end < first + (m.len >> shift_))
			wrong = "a mapping's address is not its own";
		else if (r.shadowed)
			wrong = check_shadowed(r);
	}
	if (wrong && why)
		std::fprintf(why, "mappings: %s\n", wrong);
	return !wrong;
}

}  // namespace iovad::core
