// SPDX-License-Identifier: BSD-3-Clause
#include "core/mapping_table.h"

#include <algorithm>
#include <memory>
#include <new>
#include <utility>

namespace iovad::core {

namespace {

// The table itself, the roots of its two indexes, the records.
struct Layout {
	size_t roots, records, bytes;

	explicit Layout(uint32_t count)
	{
		roots = round_up(sizeof(MappingTable));
		records = roots + 2 * sizeof(PageIndex::Table);
		bytes = records + sizeof(MappingRecord) * count;
	}
	static size_t round_up(size_t n) { return (n + 63) & ~size_t{63}; }
};

}  // namespace

size_t MappingTable::bytes(uint32_t records) { return Layout(records).bytes; }

MappingTable *MappingTable::format(void *memory, uint32_t records, const Geometry &geometry)
{
	const Layout layout(records);
	auto *base = static_cast<std::byte *>(memory);
	auto *table = new (memory) MappingTable{};
	auto *roots = reinterpret_cast<PageIndex::Table *>(base + layout.roots);
	std::uninitialized_value_construct_n(roots, 2);
	table->shift_ = geometry.shift;
	table->by_iova_.init(&roots[0], geometry.end);
	table->by_va_.init(&roots[1], Pfn{1} << (kVaBits - geometry.shift));
	table->records_ = reinterpret_cast<MappingRecord *>(base + layout.records);
	table->record_count_ = records;
	std::uninitialized_value_construct_n(table->records_, records);
	for (uint32_t i = records; i-- > 0;) {
		table->records_[i].next = table->free_;
		table->free_ = &table->records_[i];
	}
	return table;
}

// Wait-free but for a record that is used anew again and again between two of our loads.
bool MappingTable::lookup(const PageIndex &index, Pfn page, Mapping &out, Name &name) const
{
	for (;;) {
		const PageIndex::Entry e = index.find(page);
		if (e == 0)
			return false;
		const MappingRecord &r = records_[number(e)];
		// Acquire keeps the generation below them. Who sees a field of the next use, which
		// add() releases, sees the next generation too, which it wrote before.
		out.iova = r.iova.load(std::memory_order_acquire);
		out.va = r.va.load(std::memory_order_acquire);
		out.len = r.len.load(std::memory_order_acquire);
		out.dir = r.dir.load(std::memory_order_acquire);
		name = e;
		if (r.generation.load(std::memory_order_relaxed) == e >> 32) [[likely]]
			return true;
	}
}

bool MappingTable::find_iova(uint64_t address, uint64_t len, Mapping &out) const
{
	const Pfn page = first_page(address);
	Name name;
	return by_iova_.holds(page) && lookup(by_iova_, page, out, name) && out.holds_iova(address, len);
}

// Where mappings overlap, the first byte may be indexed for one that ends too early.
bool MappingTable::find_va(uint64_t address, uint64_t len, Mapping &out, Name &name) const
{
	const Pfn page = first_page(address), last = first_page(address + len - 1);
	if (!by_va_.holds(page) || !by_va_.holds(last))
		return false;
	if (lookup(by_va_, page, out, name) && out.holds_va(address, len)) [[likely]]
		return true;
	return last != page && lookup(by_va_, last, out, name) && out.holds_va(address, len);
}

MappingRecord *MappingTable::take()
{
	MappingRecord *r = free_;
	if (!r)
		return nullptr;
	free_ = r->next;
	r->pending = true;
	++pending_;
	++live_;
	return r;
}

void MappingTable::give_back(MappingRecord *r)
{
	pending_ -= r->pending;
	r->whole = r->part = r->padding = r->deferred = r->tries = 0;
	r->pending = r->region = r->installed = r->cached = r->in_window = false;
	r->next = free_;
	free_ = r;
	--live_;
}

void MappingTable::describe(MappingRecord *r, const Mapping &m)
{
	// Release pairs with the acquire in lookup().
	r->iova.store(m.iova, std::memory_order_release);
	r->va.store(m.va, std::memory_order_release);
	r->len.store(m.len, std::memory_order_release);
	r->dir.store(static_cast<uint8_t>(m.dir), std::memory_order_release);
}

void MappingTable::add(MappingRecord *r, const Mapping &m)
{
	describe(r, m);
	r->number = ++added_;
	const Pfn first = first_page(m.iova);
	by_iova_.fill(first, first + (m.len >> shift_), entry(r), pool_);
	if (!index_va(r))
		shadow(r);
	r->mapped = true;
	r->pending = false;
	--pending_;
}

// Whether r gets a page that is the old one's. Newest first, this orders all of a page's
// buffers, whatever comes and goes; so r finds its place also where it was shadowed.
bool MappingTable::makes_way(const MappingRecord &old, const MappingRecord &r) const
{
	if (newest_first_ && !(old.region && r.region))
		return r.region || (!old.region && r.newer_than(old));
	const Mapping o = old.mapping(), m = r.mapping();
	return o.len < m.len && m.holds_va(o.va, o.len);
}

// What goes makes way too.
bool MappingTable::index_va(MappingRecord *r, PageIndex::Entry goes)
{
	const Mapping m = r->mapping();
	const Pfn first = first_page(m.va);
	return by_va_.fill(first, first + (m.len >> shift_), entry(r), pool_, [&](PageIndex::Entry old) {
		if (old == goes)
			return true;
		MappingRecord &other = records_[number(old)];
		if (!makes_way(other, *r))
			return false;
		if (!other.shadowed)
			shadow(&other);
		return true;
	});
}

void MappingTable::shadow(MappingRecord *r)
{
	MappingRecord *&head = bucket_of(*r);
	r->shadowed = true;
	r->before = 0;
	r->next = head;
	if (head)
		head->before = place_of(r);
	head = r;
	++shadowed_;
	shadowed_regions_ += r->region;
}

// Those it shadowed take its place, before it goes, so that lookups always find one of
// them. Not with tables that are held ready for others.
void MappingTable::remove(MappingRecord *r)
{
	const Mapping m = r->mapping();
	const Pfn iova = first_page(m.iova), va = first_page(m.va), pages = m.len >> shift_;
	r->mapped = false;
	// Mostly what is older goes first, and has long made way.
	const bool indexed = !r->shadowed || by_va_.has(va, va + pages, entry(r));
	if (r->shadowed)
		unlink(r);
	if (indexed)
		for_each_shadowed(m.va, m.len, [&](MappingRecord *other) {
			reveal(other, entry(r));
			return false;
		});
	by_iova_.clear(iova, iova + pages, entry(r));
	if (indexed)
		by_va_.clear(va, va + pages, entry(r));
	r->generation.store(r->generation.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
	// Release pairs with removals().
	removals_.store(removals_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

void MappingTable::reveal(MappingRecord *shadowed, PageIndex::Entry goes)
{
	const uint32_t kept = kTablesNeeded * pending_;
	pool_.keep(kept);
	if (index_va(shadowed, goes))
		unlink(shadowed);
	else if (pool_.count() <= kept)
		starved_ = true;
	pool_.keep(0);
}

void MappingTable::give_tables(PageIndex::Table *tables, unsigned n)
{
	pool_.give(tables, n);
	if (std::exchange(starved_, false))
		reveal_all();
}

void MappingTable::prefer_newest()
{
	if (!std::exchange(newest_first_, true))
		reveal_all();
}

// Where something has changed but nothing went.
void MappingTable::reveal_all()
{
	for_each_shadowed(0, uint64_t{1} << kVaBits, [&](MappingRecord *other) {
		reveal(other, 0);
		return false;
	});
}

MappingRecord *MappingTable::record_at(uint64_t iova)
{
	const Pfn page = first_page(iova);
	const PageIndex::Entry e = by_iova_.holds(page) ? by_iova_.find(page) : 0;
	return e == 0 ? nullptr : &records_[number(e)];
}

// How often exactly that is mapped; null: never. Part of each unmap.
inline uint32_t *MappingTable::uses_of(uint64_t iova, uint64_t bytes, MappingRecord *&record)
{
	record = record_at(iova);
	if (!record)
		return nullptr;
	const Mapping m = record->mapping();
	if (!m.holds_iova(iova, bytes))
		return nullptr;
	uint32_t &uses = m.len == bytes ? record->whole : record->part;
	return uses != 0 ? &uses : nullptr;
}

MappingTable::Ended MappingTable::end_use(uint64_t iova, uint64_t bytes)
{
	MappingRecord *record;
	uint32_t *uses = uses_of(iova, bytes, record);
	if (!uses)
		return {false, false, nullptr};
	--*uses;
	if (record->used())
		return {true, !record->region, nullptr};
	remove(record);
	return {true, false, record};
}

MappingTable::Ended MappingTable::end_deferred_use(uint64_t iova, uint64_t bytes)
{
	// Where nobody checks it is 0.
	if (MappingRecord *record = record_at(iova); record && record->deferred != 0)
		--record->deferred;
	return end_use(iova, bytes);
}

bool MappingTable::may_end_use(uint64_t iova, uint64_t bytes)
{
	MappingRecord *record;
	return uses_of(iova, bytes, record) && record->deferred < record->whole + record->part;
}

bool MappingTable::defer_use(uint64_t iova, uint64_t bytes)
{
	if (!may_end_use(iova, bytes))
		return false;
	++record_at(iova)->deferred;
	return true;
}

MappingRecord *MappingTable::shareable(uint64_t va, uint64_t len, uint32_t dir, uint64_t limit)
{
	const auto fits = [=, this](const MappingRecord &r) {
		const Mapping m = r.mapping();
		const bool same = m.va == va && m.len == len && m.dir == dir && shift_ == kPageShift && !newest_first_;
		const bool in_region = r.region && m.holds_va(va, len) && (dir & ~m.dir) == 0;
		return (same || in_region) && m.iova + (va - m.va) + (len - 1) <= limit;
	};
	for (const uint64_t address : {va, va + len - 1}) {
		const PageIndex::Entry e = by_va_.find(first_page(address));
		if (e != 0 && fits(records_[number(e)]))
			return &records_[number(e)];
	}
	MappingRecord *found = nullptr;
	if (!newest_first_ || shadowed_regions_ != 0)
		for_each_shadowed(va, len, [&](MappingRecord *r) { return fits(*r) && (found = r); });
	return found;
}

unsigned MappingTable::level_of(const Mapping &m)
{
	unsigned level = 0;
	while (level < kLevels && m.len > uint64_t{1} << kBucketShifts[level])
		++level;
	return level;
}

MappingRecord *&MappingTable::bucket_of(const MappingRecord &r)
{
	const Mapping m = r.mapping();
	const unsigned level = level_of(m);
	return level < kLevels ? buckets_[level][m.va >> kBucketShifts[level] & (kBuckets - 1)] : large_;
}

void MappingTable::unlink(MappingRecord *r)
{
	(r->before != 0 ? records_[r->before - 1].next : bucket_of(*r)) = r->next;
	if (r->next)
		r->next->before = r->before;
	r->shadowed = false;
	--shadowed_;
	shadowed_regions_ -= r->region;
}

// Shadowed records that overlap [va, va + len). One in a bucket is no longer than the
// bucket, so it begins in one that the span touches or in the one before. Ends when visit
// returns true, which may unlink what it was given and shadow others.
template <class Visit> void MappingTable::for_each_shadowed(uint64_t va, uint64_t len, Visit visit)
{
	if (shadowed_ == 0)
		return;
	const auto walk = [&](MappingRecord *head) {
		for (MappingRecord *r = head, *next; r; r = next) {
			const Mapping m = r->mapping();
			next = r->next;
			if (m.va < va + len && va < m.va + m.len && visit(r))
				return true;
		}
		return false;
	};
	for (unsigned level = 0; level < kLevels; ++level) {
		const uint64_t first = va >> kBucketShifts[level], last = (va + len - 1) >> kBucketShifts[level];
		const uint64_t count = std::min<uint64_t>(last - first + 2, kBuckets);
		for (uint64_t i = 0; i < count; ++i) {
			if (walk(buckets_[level][(last - i) & (kBuckets - 1)]))
				return;
		}
	}
	walk(large_);
}

}  // namespace iovad::core
