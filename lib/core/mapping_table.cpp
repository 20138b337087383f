// SPDX-License-Identifier: BSD-3-Clause
#include "core/mapping_table.h"

#include <algorithm>
#include <memory>
#include <new>

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
	std::uninitialized_value_construct_n(table->records_, records);
	for (uint32_t i = records; i-- > 0;) {
		table->records_[i].next = table->free_;
		table->free_ = &table->records_[i];
	}
	return table;
}

// Wait-free but for a record that is used anew again and again between two of our loads.
bool MappingTable::lookup(const PageIndex &index, Pfn page, Mapping &out) const
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
		if (r.generation.load(std::memory_order_relaxed) == e >> 32) [[likely]]
			return true;
	}
}

bool MappingTable::find_iova(uint64_t address, uint64_t len, Mapping &out) const
{
	const Pfn page = first_page(address);
	return by_iova_.holds(page) && lookup(by_iova_, page, out) && out.holds_iova(address, len);
}

// Where mappings overlap, the first byte may be indexed for one that ends too early.
bool MappingTable::find_va(uint64_t address, uint64_t len, Mapping &out) const
{
	const Pfn page = first_page(address), last = first_page(address + len - 1);
	if (!by_va_.holds(page) || !by_va_.holds(last))
		return false;
	if (lookup(by_va_, page, out) && out.holds_va(address, len)) [[likely]]
		return true;
	return last != page && lookup(by_va_, last, out) && out.holds_va(address, len);
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
	r->whole = r->part = r->padding = 0;
	r->pending = r->region = r->installed = r->cached = false;
	r->next = free_;
	free_ = r;
	--live_;
}

void MappingTable::add(MappingRecord *r, const Mapping &m)
{
	// Release pairs with the acquire in lookup().
	r->iova.store(m.iova, std::memory_order_release);
	r->va.store(m.va, std::memory_order_release);
	r->len.store(m.len, std::memory_order_release);
	r->dir.store(m.dir, std::memory_order_release);
	const Pfn first = first_page(m.iova);
	by_iova_.fill(first, first + (m.len >> shift_), entry(r), pool_);
	if (!index_va(r)) {
		r->shadowed = true;
		r->next = bucket_of(*r);
		bucket_of(*r) = r;
		++shadowed_;
	}
	r->pending = false;
	--pending_;
}

bool MappingTable::index_va(MappingRecord *r)
{
	const Mapping m = r->mapping();
	const Pfn first = first_page(m.va);
	return by_va_.fill(first, first + (m.len >> shift_), entry(r), pool_);
}

// Those it shadowed take its place, unless they would need tables that are held ready for
// others: then they stay shadowed there.
void MappingTable::remove(MappingRecord *r)
{
	const Mapping m = r->mapping();
	const Pfn iova = first_page(m.iova), va = first_page(m.va), pages = m.len >> shift_;
	by_iova_.clear(iova, iova + pages, entry(r));
	by_va_.clear(va, va + pages, entry(r));
	if (r->shadowed)
		unlink(r);
	r->generation.store(r->generation.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
	for_each_shadowed(m.va, m.len, [this](MappingRecord *other) {
		if (has_tables() && index_va(other))
			unlink(other);
		return false;
	});
}

MappingRecord *MappingTable::record_at(uint64_t iova)
{
	const Pfn page = first_page(iova);
	const PageIndex::Entry e = by_iova_.holds(page) ? by_iova_.find(page) : 0;
	return e == 0 ? nullptr : &records_[number(e)];
}

MappingRecord *MappingTable::shareable(uint64_t va, uint64_t len, uint32_t dir, uint64_t limit)
{
	const auto fits = [=](const MappingRecord &r) {
		const Mapping m = r.mapping();
		return m.holds_va(va, len) && (dir & ~m.dir) == 0 && m.iova + (va - m.va) + (len - 1) <= limit;
	};
	for (const uint64_t address : {va, va + len - 1}) {
		const PageIndex::Entry e = by_va_.find(first_page(address));
		if (e != 0 && fits(records_[number(e)]))
			return &records_[number(e)];
	}
	MappingRecord *found = nullptr;
	for_each_shadowed(va, len, [&](MappingRecord *r) { return fits(*r) && (found = r); });
	return found;
}

MappingRecord *&MappingTable::bucket_of(const MappingRecord &r)
{
	const Mapping m = r.mapping();
	if (m.len > uint64_t{1} << kBucketShift)
		return large_;
	return buckets_[m.va >> kBucketShift & (kBuckets - 1)];
}

void MappingTable::unlink(MappingRecord *r)
{
	MappingRecord **link = &bucket_of(*r);
	while (*link != r)
		link = &(*link)->next;
	*link = r->next;
	r->shadowed = false;
	--shadowed_;
}

// Shadowed records that overlap [va, va + len). One in a bucket is no longer than the
// bucket, so it begins in one that the span touches or in the one before. Ends when visit
// returns true, which may unlink what it was given.
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
	const uint64_t first = va >> kBucketShift, last = (va + len - 1) >> kBucketShift;
	const uint64_t count = std::min<uint64_t>(last - first + 2, kBuckets);
	for (uint64_t i = 0; i < count; ++i) {
		if (walk(buckets_[(last - i) & (kBuckets - 1)]))
			return;
	}
	walk(large_);
}

}  // namespace iovad::core
