// SPDX-License-Identifier: BSD-3-Clause
// Mapping: an address from the domain, a translation from the backend, a record of both.
//
// The memory is rounded to whole granules; the same pages, and what a region holds, are
// shared. Order of a map: record, address, translation, then lookups find it; of an unmap
// the reverse (Removal), at once or lazily (Retirer). What failed is undone, so nothing is
// recorded that is not mapped. A translation that does not go away quarantines its range:
// nobody finds it, nobody is handed its address, and it is tried again.
//
// A map for which something has run out (addresses, records, mappings that the backend can
// hold) ends what is deferred, and tries again before it fails.
//
// Used in the process that created the domain only: its backend is there. Any thread may
// call. Locks are not held while the backend works, but for regions, which are added and
// removed one at a time.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "core/domain.h"
#include "core/mapping_table.h"
#include "dma/backend.h"
#include "dma/prefault.h"
#include "dma/removal.h"
#include "dma/retirer.h"

namespace iovad::dma {

// Who installs the translation: the backend, or somebody else in the same IOMMU, who is
// told the address.
enum class Installer { us, other };

class Mapper {
public:
	// n zeroed tables that live as long as the table of mappings, or null. May block.
	using TableSource = std::function<core::PageIndex::Table *(unsigned n)>;

	enum class Policy {
		strict,
		lazy,     // of what programs unmap by the inlined path
		checked,  // lazy, but each unmap is looked at first: nothing is inlined
	};

	Mapper(core::Domain &domain, core::MappingTable &table, core::RetireQueues &queues, Policy policy,
	       std::unique_ptr<Backend> backend, TableSource tables);

	// See iovad_dma.h. lcore as in Domain. Outcome.advice is set where the backend failed.
	Outcome map(unsigned lcore, const void *va, uint64_t len, uint64_t limit, uint32_t dir, uint64_t &iova);
	Outcome unmap(unsigned lcore, uint64_t iova, uint64_t len);
	// What the inlined path could not put into the queue.
	Outcome unmap_lazy(unsigned lcore, uint64_t iova, uint64_t len);
	Outcome add_region(const void *va, uint64_t len, uint64_t limit, uint32_t dir, uint64_t &iova,
			   Installer installer = Installer::us);
	Outcome remove_region(const void *va, uint64_t len);

	// A region at an address that was the caller's before, and is afterwards: whole granules in a
	// window, a live range of the domain. Once per address. Removal leaves the address live;
	// busy: something in it is mapped as a buffer; failed: it is in quarantine, and the address must
	// not be used again before gone() says so.
	Outcome add_in_window(uint64_t iova, const void *va, uint64_t len, uint32_t dir);
	Outcome remove_from_window(uint64_t iova);
	bool gone(uint64_t iova) { return removal_.settled(iova); }
	bool holds_back(uint64_t iova) { return retirer_.holds_back(iova); }

	// Reads anew what devices can address, and reserves the rest of the domain. exists: what
	// is in use cannot be addressed any more; conflict, unless null, is the first of that. All
	// that is not in use is reserved then too.
	Outcome refresh(Span *conflict = nullptr);

	// Gets tables for the first mappings, so that none of them has to. Without memory they try again.
	void prepare() { feed_table(true); }

	// For the control lcore. Times are of CLOCK_MONOTONIC, in nanoseconds.
	//
	// One bounded pass: unmaps what is deferred, tries again what is quarantined and due, gets
	// tables before they run out. Returns how many mappings are gone.
	unsigned pass(unsigned lcore);
	// Until then lcores may defer; 0: no longer.
	void serve(uint64_t until) { retirer_.serve(until); }

	// Nothing that was unmapped before the call is still deferred, and all that is quarantined was
	// tried again. busy: some still is.
	Outcome drain(unsigned lcore);
	// The same where something has run out. Whether it is worth to try again: something was given
	// back since so much was, by this or by what another thread did meanwhile. To be asked for
	// before what failed was tried: what another was just giving back then does not count so far.
	bool make_room(unsigned lcore, uint64_t given_back_before);
	bool make_room(unsigned lcore) { return make_room(lcore, given_back()); }
	uint64_t given_back() const { return removal_.given_back(); }

	// This lcore goes away: what it deferred is unmapped.
	void release_lcore(unsigned lcore) { retirer_.release_lcore(lcore); }

	Backend &backend() { return *backend_; }

	// For the log: what no caller is told. Before the first map.
	void set_report(Report report) { removal_.set_report(std::move(report)); }
	// For debug mode: see Removal.
	void set_gone(Removal::Gone gone) { removal_.set_gone(std::move(gone)); }
	// For tracing.
	void set_watch(Retirer::Watch watch) { retirer_.set_watch(std::move(watch)); }

	// CPUs for threads that help to fault memory in; all unless set, before the first map.
	void set_helpers(const cpu_set_t &cpus) { helpers_ = cpus; }

private:
	// Whole granules around the caller's memory.
	struct Memory {
		uint64_t va, len, offset;  // of the caller's first byte
	};
	bool memory_of(const void *va, uint64_t len, uint32_t dir, Memory &out) const;
	Outcome bring_in(const Memory &m, uint32_t dir);
	bool share(const Memory &m, uint64_t limit, uint32_t dir, uint64_t &iova);
	enum class Kind { buffer, region, installed_region, region_in_window };
	Outcome map_or_make_room(unsigned lcore, const Memory &m, uint64_t limit, uint32_t dir, Kind kind,
				 core::MappingRecord *&record, uint64_t &iova);
	Outcome map_new(unsigned lcore, const Memory &m, uint64_t limit, uint32_t dir, Kind kind,
			core::MappingRecord *&record, uint64_t &iova);
	core::MappingRecord *take_record();
	void feed_table(bool ahead);
	Outcome end(unsigned lcore, uint64_t iova, core::MappingTable::Ended ended);
	Outcome end_region(core::MappingRecord *record);
	Outcome remove_ended(core::MappingRecord *record);
	bool in_use(core::MappingRecord &record);
	bool in_window(uint64_t iova, uint64_t len) const;
	void give_back(core::MappingRecord *record);
	Status allocate(unsigned lcore, const Memory &m, uint64_t limit, core::MappingRecord &r, uint64_t &iova);
	void deallocate(unsigned lcore, const core::MappingRecord &r, uint64_t iova, uint64_t len);
	Outcome install(uint64_t iova, uint64_t va, uint64_t len, uint32_t dir);
	Status keep_out(core::Pfn first, core::Pfn end, Span *conflict);
	uint64_t large_page(const Memory &m, uint64_t size) const;

	core::Domain &domain_;
	core::MappingTable &table_;
	const Policy policy_;
	std::unique_ptr<Backend> backend_;
	Removal removal_;
	Retirer retirer_;
	TableSource tables_;
	cpu_set_t helpers_ = every_cpu();
	std::atomic<uint64_t> page_sizes_ = 0;

	struct Region {
		uint64_t len;  // the caller's
		core::MappingRecord *record;
	};
	std::mutex regions_mutex_;
	std::map<uint64_t, Region> regions_;  // by the caller's virtual address
};

}  // namespace iovad::dma
