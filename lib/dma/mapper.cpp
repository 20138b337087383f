// SPDX-License-Identifier: BSD-3-Clause
#include "dma/mapper.h"

#include <utility>

#include "core/clock.h"

namespace iovad::dma {

using core::LockGuard;
using core::Mapping;
using core::MappingRecord;
using core::MappingTable;

namespace {

constexpr uint64_t k2MiB = uint64_t{1} << 21, k1GiB = uint64_t{1} << 30;
constexpr uint64_t kMostCached = 64;  // granules; longer ones come from the tree
constexpr unsigned kTablesAtOnce = 64;

void count(std::atomic<uint64_t> &counter, uint64_t n = 1) { counter.fetch_add(n, std::memory_order_relaxed); }

// What a backend throws (no memory, for what it says of a failure) must not skip the undoing.
template <class Call> Outcome guarded(Call call)
try {
	return call();
} catch (...) {
	return {Status::no_memory, 0, "no memory in the backend"};
}

}  // namespace

Mapper::Mapper(core::Domain &domain, core::MappingTable &table, core::RetireQueues &queues, Policy policy,
	       std::unique_ptr<Backend> backend, TableSource tables)
	: domain_(domain), table_(table), policy_(policy), backend_(std::move(backend)),
	  removal_(domain, table, *backend_), retirer_(domain, table, queues, removal_, policy == Policy::lazy),
	  tables_(std::move(tables))
{
	if (policy_ == Policy::lazy)
		table_.prefer_newest();
}

Outcome Mapper::map(unsigned lcore, const void *va, uint64_t len, uint64_t limit, uint32_t dir, uint64_t &iova)
{
	Memory m;
	if (!memory_of(va, len, dir, m))
		return {Status::invalid};
	if (share(m, limit, dir, iova))
		return {};
	// Pages that a device writes become the program's own when they are pinned.
	if (dir == kToDevice && backend_->pins_memory())
		prefault(va, len, false, helpers_);
	MappingRecord *record;
	return map_or_make_room(lcore, m, limit, dir, Kind::buffer, record, iova);
}

namespace {

// Whole granules; false: there is no such range. What ends with the last address has an end of 0.
bool whole_granules(uint64_t granule, uint64_t iova, uint64_t len, uint64_t &first, uint64_t &bytes)
{
	const uint64_t mask = granule - 1;
	if (len == 0 || iova + (len - 1) < iova)
		return false;
	first = iova & ~mask;
	bytes = ((iova + len - 1) | mask) + 1 - first;
	return bytes != 0;
}

}  // namespace

Outcome Mapper::unmap(unsigned lcore, uint64_t iova, uint64_t len)
{
	uint64_t first, bytes;
	if (!whole_granules(domain_.geometry().granule, iova, len, first, bytes))
		return {Status::invalid};
	MappingTable::Ended ended;
	{
		LockGuard guard(table_.lock());
		// Not what is deferred already: its entry would end somebody else's use of that address.
		if (policy_ == Policy::checked && !table_.may_end_use(first, bytes))
			return {Status::not_found};
		ended = table_.end_use(first, bytes);
	}
	return end(lcore, first, ended);
}

// At once.
Outcome Mapper::end(unsigned lcore, uint64_t iova, MappingTable::Ended ended)
{
	if (!ended.found)
		return {Status::not_found};
	if (ended.last) {
		feed_table(false);
		return removal_.remove(lcore, ended.last);
	}
	if (!ended.others)
		return {};
	// They may be done with it already, lazily.
	if (retirer_.anything_deferred()) {
		retirer_.drain(lcore);
		feed_table(false);
	}
	return {removal_.settled(iova) ? Status::ok : Status::failed};
}

Outcome Mapper::unmap_lazy(unsigned lcore, uint64_t iova, uint64_t len)
{
	uint64_t first, bytes;
	if (!whole_granules(domain_.geometry().granule, iova, len, first, bytes))
		return {Status::invalid};
	if (policy_ != Policy::lazy) {
		LockGuard guard(table_.lock());
		// From the first one on, for good: a mapping that is on its way out must not be shared.
		table_.prefer_newest();
		if (policy_ == Policy::checked && !table_.defer_use(first, bytes))
			return {Status::not_found};
	}
	if (retirer_.put(lcore, iova, len))
		return {};
	MappingTable::Ended ended;
	{
		LockGuard guard(table_.lock());
		ended = table_.end_deferred_use(first, bytes);
	}
	return end(lcore, first, ended);
}

bool Mapper::memory_of(const void *va, uint64_t len, uint32_t dir, Memory &out) const
{
	constexpr uint64_t kEnd = uint64_t{1} << core::MappingTable::kVaBits;
	const uint64_t first = reinterpret_cast<uint64_t>(va), mask = domain_.geometry().granule - 1;
	if (first == 0 || len == 0 || first >= kEnd || len > kEnd - first)
		return false;
	if (dir == 0 || (dir & ~uint32_t{kBidirectional}) != 0)
		return false;
	out.va = first & ~mask;
	out.offset = first & mask;
	out.len = (out.offset + len + mask) & ~mask;
	return out.len <= kEnd - out.va;
}

bool Mapper::share(const Memory &m, uint64_t limit, uint32_t dir, uint64_t &iova)
{
	LockGuard guard(table_.lock());
	MappingRecord *record = table_.shareable(m.va, m.len, dir, limit);
	if (!record)
		return false;
	const Mapping mapping = record->mapping();
	++(mapping.len == m.len ? record->whole : record->part);
	count(table_.counters.shared);
	iova = mapping.iova + (m.va - mapping.va) + m.offset;
	return true;
}

Outcome Mapper::map_or_make_room(unsigned lcore, const Memory &m, uint64_t limit, uint32_t dir, Kind kind,
				 MappingRecord *&record, uint64_t &iova)
{
	// Others may take what comes back.
	constexpr unsigned kTries = 16;
	for (unsigned tries = 1;; ++tries) {
		const uint64_t before = given_back();
		const Outcome o = map_new(lcore, m, limit, dir, kind, record, iova);
		const bool ran_out = o.status == Status::no_space || o.status == Status::no_memory || o.status == Status::again;
		if (!ran_out || tries == kTries || !make_room(lcore, before))
			return o;
	}
}

// iova: of the caller's first byte. In a window it is given.
Outcome Mapper::map_new(unsigned lcore, const Memory &m, uint64_t limit, uint32_t dir, Kind kind,
			MappingRecord *&record, uint64_t &iova)
{
	record = take_record();
	if (!record)
		return {Status::again, 0, "no memory for the record of one more mapping: raise max_ranges, or give EAL more memory"};
	record->in_window = kind == Kind::region_in_window;
	uint64_t first = kind == Kind::region_in_window ? iova : 0;
	if (const Status status = allocate(lcore, m, limit, *record, first); status != Status::ok) {
		give_back(record);
		return {status};
	}
	if (const Outcome o = install(first, m.va, m.len, dir); !o.ok()) {
		deallocate(lcore, *record, first, m.len);
		give_back(record);
		return o;
	}
	const Mapping mapping = {first, m.va, m.len, dir};
	if (kind == Kind::installed_region) {
		// That was to see whether it can be there: who installs it may take a collision for success.
		table_.describe(record, mapping);
		if (const Outcome o = removal_.uninstall(record); !o.ok())
			return o;
	}
	LockGuard guard(table_.lock());
	record->installed = kind == Kind::installed_region;
	record->region = kind != Kind::buffer;
	record->whole = kind == Kind::buffer;
	table_.add(record, mapping);
	iova = first + m.offset;
	return {};
}

// Tables come from outside the lock: that may take long.
MappingRecord *Mapper::take_record()
{
	core::PageIndex::Table *tables = nullptr;
	for (;;) {
		{
			LockGuard guard(table_.lock());
			if (tables)
				table_.give_tables(tables, kTablesAtOnce);
			if (table_.has_tables())
				return table_.take();
		}
		tables = tables_(kTablesAtOnce);
		if (!tables)
			return nullptr;
	}
}

// What was shadowed may need more tables than there are, to take the place of what went. If
// there is no memory now, the next tables that are given serve them. ahead: before they are needed.
void Mapper::feed_table(bool ahead)
{
	{
		LockGuard guard(table_.lock());
		if (!table_.starved() && !(ahead && table_.low_on_tables()))
			return;
	}
	if (core::PageIndex::Table *tables = tables_(kTablesAtOnce)) {
		LockGuard guard(table_.lock());
		table_.give_tables(tables, kTablesAtOnce);
	}
}

void Mapper::give_back(MappingRecord *record)
{
	LockGuard guard(table_.lock());
	table_.give_back(record);
}

// The page size that the IOMMU could use for this memory if its IOVA were congruent to its
// virtual address modulo that size; 0: not more than the granule.
uint64_t Mapper::large_page(const Memory &m, uint64_t size) const
{
	const bool usable = (page_sizes_.load(std::memory_order_relaxed) & size) != 0 && size > domain_.geometry().granule && m.len >= size;
	// A whole 1 GiB page must begin where the memory does, or most of it would be padding.
	return usable && (size == k2MiB || m.va % size == 0) ? size : 0;
}

Status Mapper::allocate(unsigned lcore, const Memory &m, uint64_t limit, MappingRecord &r, uint64_t &iova)
{
	if (r.in_window)
		return Status::ok;
	const core::Geometry &g = domain_.geometry();
	if (limit < g.first_byte())
		return Status::invalid;
	if (m.len >> g.shift > g.end - g.first)
		return Status::no_space;
	for (const uint64_t size : {k1GiB, k2MiB}) {
		if (large_page(m, size) == 0)
			continue;
		const uint64_t padding = m.va % size;
		if (domain_.alloc_range(padding + m.len, size, limit, iova) == Status::ok) {
			iova += padding;
			r.padding = static_cast<uint32_t>(padding >> g.shift);
			return Status::ok;
		}
	}
	if (m.len >> g.shift > kMostCached)
		return domain_.alloc_range(m.len, g.granule, limit, iova);
	r.cached = true;
	return domain_.alloc(lcore, m.len, limit, iova);
}

void Mapper::deallocate(unsigned lcore, const MappingRecord &r, uint64_t iova, uint64_t len)
{
	const uint64_t padding = domain_.geometry().bytes(r.padding);
	if (r.in_window)
		return;
	if (r.cached)
		domain_.free(lcore, iova, len);
	else
		domain_.free_range(iova - padding, padding + len);
}

Outcome Mapper::install(uint64_t iova, uint64_t va, uint64_t len, uint32_t dir)
{
	const Outcome o = guarded([&] { return backend_->map(iova, reinterpret_cast<void *>(va), len, dir); });
	count(o.ok() ? table_.counters.maps : table_.counters.errors);
	return o;
}

// ---- the control lcore ----

unsigned Mapper::pass(unsigned lcore)
{
	const unsigned gone = retirer_.pass(lcore);
	const unsigned late = removal_.retry_due(lcore, core::now_ns());
	feed_table(true);
	return gone + late;
}

Outcome Mapper::drain(unsigned lcore)
{
	retirer_.drain(lcore);
	const bool all_gone = removal_.retry_all(lcore);
	feed_table(false);
	return {all_gone ? Status::ok : Status::busy};
}

bool Mapper::make_room(unsigned lcore, uint64_t given_back_before)
{
	if (retirer_.anything_deferred() || !removal_.quarantine_empty())
		drain(lcore);
	return given_back() != given_back_before;
}

}  // namespace iovad::dma
