// SPDX-License-Identifier: BSD-3-Clause
// What a domain has mapped: a record per mapping, found by I/O virtual address and by
// virtual address. Lookups take no lock: an entry of either index names a record and its
// generation, and a record that was used anew in between does not match and is looked up
// again. Changes are made by one thread at a time, with lock() held, in the process that
// created the domain; others may look up.
//
// No two mappings share an IOVA, but a page of memory may be in several, as when buffers
// that are no whole pages meet in one. The index by virtual address then names one of them:
// the longer, where one lies in the other, so that what a region holds is found whatever
// else is mapped inside; else the older. The others are shadowed there, are kept in buckets
// by address, and take its place when it goes.
//
// Where mappings are retired lazily a buffer may be on its way out, and a lookup must not lead
// there if another holds the page: regions come first, and of two buffers the newer.
// prefer_newest() says so.
#pragma once

#include <cstdint>
#include <cstdio>
#include <iterator>

#include "core/address_space.h"
#include "core/geometry.h"
#include "core/page_index.h"
#include "core/spin_lock.h"

namespace iovad::core {

// Bytes, whole granules.
struct Mapping {
	uint64_t iova, va, len;
	uint32_t dir;

	bool holds_va(uint64_t address, uint64_t bytes) const
	{
		return address - va < len && bytes <= len - (address - va);
	}
	bool holds_iova(uint64_t address, uint64_t bytes) const
	{
		return address - iova < len && bytes <= len - (address - iova);
	}
};

struct alignas(64) MappingRecord {
	// Read without the lock.
	std::atomic<uint64_t> iova, va, len;
	std::atomic<uint32_t> generation;
	// With the lock.
	uint32_t before;   // in a bucket: the number of the record before it, and one; 0: it is the first
	uint32_t padding;  // granules allocated below iova, for the sake of its alignment
	uint32_t whole;    // times all its granules were mapped and not yet unmapped
	uint32_t part;     // the same for some of its granules
	union {
		uint32_t deferred;     // while mapped, with checks: of those times, to be ended lazily
		uint32_t retry_at_ms;  // in quarantine: since its beginning
	};
	MappingRecord *next;  // in the free list or a bucket; its user's between remove() and give_back()
	uint32_t number;      // of those that were added
	bool region : 1;      // stays mapped until it is removed as a region; said before add()
	bool pending : 1, mapped : 1, shadowed : 1;  // MappingTable's; mapped: between add() and remove()
	uint8_t tries;        // in quarantine: failed ones
	std::atomic<uint8_t> dir;  // read without the lock
	// Its user's, without the lock, so not beside the bits above.
	bool installed : 1;   // by somebody else, who also removes the translation
	bool cached : 1;      // the address came from Domain::alloc()
	bool in_window : 1;   // it is part of a live range that somebody else keeps

	Mapping mapping() const
	{
		return {iova.load(std::memory_order_relaxed), va.load(std::memory_order_relaxed),
			len.load(std::memory_order_relaxed), dir.load(std::memory_order_relaxed)};
	}
	bool used() const { return region || whole != 0 || part != 0; }
	bool newer_than(const MappingRecord &other) const { return static_cast<int32_t>(number - other.number) > 0; }
};
static_assert(sizeof(MappingRecord) == 64);  // there are as many as ranges

class MappingTable {
public:
	// Virtual addresses of processes end here, unless they ask for more.
	static constexpr unsigned kVaBits = 48;

	static size_t bytes(uint32_t records);
	static MappingTable *format(void *memory, uint32_t records, const Geometry &geometry);

	// A mapping that holds [address, address + len), len > 0. Any thread. By virtual address,
	// memory whose first and last pages both lie in other mappings too may not be found.
	bool find_iova(uint64_t address, uint64_t len, Mapping &out) const;
	bool find_va(uint64_t address, uint64_t len, Mapping &out) const
	{
		Name name;
		return find_va(address, len, out, name);
	}
	// And the mapping's name, by which one can ask later whether it is still there. 0 is none's.
	using Name = PageIndex::Entry;
	bool find_va(uint64_t address, uint64_t len, Mapping &out, Name &name) const;
	bool is_mapped(Name name) const
	{
		return records_[number(name)].generation.load(std::memory_order_relaxed) == name >> 32;
	}

	// How many were ever removed. Whoever sees one counted finds it by no lookup, and its name is nobody's.
	uint64_t removals() const { return removals_.load(std::memory_order_acquire); }

	SpinLock &lock() { return lock_; }

	// All that follows: with the lock held.

	// Tables for the indexes, zeroed: for one mapping up to kTablesNeeded are held ready, so
	// that add() cannot fail.
	static constexpr uint32_t kTablesNeeded = 2 * PageIndex::kMostTables;
	bool has_tables() const { return pool_.count() >= kTablesNeeded * (pending_ + 1); }
	void give_tables(PageIndex::Table *tables, unsigned n);
	// remove() found too few for those that were to take the place of what went: they are not
	// found by virtual address until more tables are given.
	bool starved() const { return starved_; }
	// Few are left, if none is taken.
	bool low_on_tables() const { return pool_.count() < kTablesNeeded * (pending_ + kTablesAhead); }

	// A record to add() or to give_back(). Needs has_tables(). Null: there is none left.
	MappingRecord *take();
	// What it is about. Lookups do not find it yet.
	void describe(MappingRecord *record, const Mapping &mapping);
	// Lookups find it from now on.
	void add(MappingRecord *record, const Mapping &mapping);
	// They do not any more. Then give_back() makes it free.
	void remove(MappingRecord *record);
	void give_back(MappingRecord *record);

	MappingRecord *record_at(uint64_t iova);
	// One use of [iova, iova + bytes), whole granules, is over. last: it was the last one; lookups
	// do not find the record any more, and it is the caller's. others: of the same kind are left,
	// and once they have ended the mapping goes.
	struct Ended {
		bool found, others;
		MappingRecord *last;
	};
	Ended end_use(uint64_t iova, uint64_t bytes);

	// For those who check that no use is ended twice: one is to be ended later, by
	// end_deferred_use(). False: there is none that is not. The same for one that is ended now.
	bool defer_use(uint64_t iova, uint64_t bytes);
	bool may_end_use(uint64_t iova, uint64_t bytes);
	Ended end_deferred_use(uint64_t iova, uint64_t bytes);

	// One that [va, va + len) may share: a region that holds it and allows dir, or a mapping
	// of exactly these pages for dir. Not a larger one, nor larger granules: some page of it
	// might belong to nobody any more when its mapper is done, be given back, and come again as
	// other memory, while the mapping, kept by the one that shares it, still leads to the old. In
	// either case what is shared ends at or below the limit.
	// With prefer_newest(), regions only: whether the mapping is being retired is not known here.
	MappingRecord *shareable(uint64_t va, uint64_t len, uint32_t dir, uint64_t limit);

	// From now on, and for what is there.
	void prefer_newest();

	uint32_t live() const { return live_; }  // records in use

	// Recomputes both indexes from the records, and compares. What is mapped must be live in
	// the space. Without the lock; takes it.
	bool verify(FILE *why, AddressSpace &space);

	// Written by whoever maps, read by anyone.
	struct Counters {
		std::atomic<uint64_t> maps, unmaps, unmapped_runs, unmapped, errors, shared;
		std::atomic<uint64_t> quarantined_ranges, quarantined_bytes, retries;
	};
	Counters counters;

private:
	static constexpr unsigned kPageShift = 12;  // what owners of memory give back at least
	static constexpr unsigned kBuckets = 1024;
	static constexpr unsigned kBucketShifts[] = {13, 21};
	static constexpr unsigned kLevels = std::size(kBucketShifts);
	static constexpr uint32_t kTablesAhead = 4;

	// An index's entry: generation << 32 | (record + 1) << 1.
	static PageIndex::Entry entry(uint32_t n, uint32_t generation)
	{
		return uint64_t{generation} << 32 | uint64_t{n + 1} << 1;
	}
	static uint32_t number(PageIndex::Entry e) { return (static_cast<uint32_t>(e) >> 1) - 1; }
	PageIndex::Entry entry(const MappingRecord *r) const
	{
		return entry(static_cast<uint32_t>(r - records_), r->generation.load(std::memory_order_relaxed));
	}
	bool lookup(const PageIndex &index, Pfn page, Mapping &out, Name &name) const;
	uint32_t *uses_of(uint64_t iova, uint64_t bytes, MappingRecord *&record);
	Pfn first_page(uint64_t address) const { return address >> shift_; }
	bool index_va(MappingRecord *r, PageIndex::Entry goes = 0);
	bool makes_way(const MappingRecord &old, const MappingRecord &r) const;
	void reveal(MappingRecord *shadowed, PageIndex::Entry goes);
	void reveal_all();
	void shadow(MappingRecord *r);
	struct Census;
	const char *count_records(Census &census) const;
	const char *check_indexes(const Census &census) const;
	const char *check_shadows();
	const char *check_shadowed(const MappingRecord &r) const;
	static unsigned level_of(const Mapping &m);
	MappingRecord *&bucket_of(const MappingRecord &r);
	uint32_t place_of(const MappingRecord *r) const { return static_cast<uint32_t>(r - records_) + 1; }
	void unlink(MappingRecord *r);
	template <class Visit> void for_each_shadowed(uint64_t va, uint64_t len, Visit visit);

	SpinLock lock_;
	unsigned shift_;
	PageIndex by_iova_, by_va_;
	PageIndex::Pool pool_;
	MappingRecord *records_;
	uint32_t record_count_;
	MappingRecord *free_;
	uint32_t live_;
	uint32_t pending_;            // taken, neither added nor given back
	uint32_t shadowed_, shadowed_regions_;  // how many records are, and of them regions
	uint32_t added_;              // ever
	bool starved_;                // one of them lacks tables
	bool newest_first_;
	// Shadowed records by first byte: for each level those that are no longer than its buckets, 1 <<
	// kBucketShifts[level] bytes, but than those of the level before. And the longer ones.
	MappingRecord *buckets_[kLevels][kBuckets];
	MappingRecord *large_;
	alignas(64) std::atomic<uint64_t> removals_;  // read at each burst of a port: with nothing that maps write
};

}  // namespace iovad::core
