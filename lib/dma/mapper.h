// SPDX-License-Identifier: BSD-3-Clause
// Mapping: an address from the domain, a translation from the backend, a record of both.
//
// The memory is rounded to whole granules; the same pages, and what a region holds, are
// shared. Order of a map: record, address, translation, then lookups find it; of an unmap
// the reverse. What failed is undone, so nothing is recorded that is not mapped. A
// translation that does not go away quarantines its range: nobody finds it, nobody is
// handed its address, and flush() tries again.
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

namespace iovad::dma {

// Who installs the translation: the backend, or somebody else in the same IOMMU, who is
// told the address.
enum class Installer { us, other };

class Mapper {
public:
	// n zeroed tables that live as long as the table of mappings, or null. May block.
	using TableSource = std::function<core::PageIndex::Table *(unsigned n)>;

	Mapper(core::Domain &domain, core::MappingTable &table, std::unique_ptr<Backend> backend,
	       TableSource tables);

	// See iovad_dma.h. lcore as in Domain. Outcome.advice is set where the backend failed.
	Outcome map(unsigned lcore, const void *va, uint64_t len, uint64_t limit, uint32_t dir, uint64_t &iova);
	Outcome unmap(unsigned lcore, uint64_t iova, uint64_t len);
	// Lazily: what the inlined path could not put into the queue.
	Outcome unmap_lazy(unsigned lcore, uint64_t iova, uint64_t len) { return unmap(lcore, iova, len); }
	Outcome add_region(const void *va, uint64_t len, uint64_t limit, uint32_t dir, uint64_t &iova,
			   Installer installer = Installer::us);
	Outcome remove_region(const void *va, uint64_t len);

	// Reads anew what devices can address, and reserves the rest of the domain. exists: what
	// is in use cannot be addressed any more; conflict, unless null, is the first of that. All
	// that is not in use is reserved then too.
	Outcome refresh(Span *conflict = nullptr);

	// Tries again to unmap what is quarantined. True: some of it went.
	bool flush();

	// For the control lcore. Times are of CLOCK_MONOTONIC, in nanoseconds.
	//
	// One bounded pass: unmaps what is deferred, tries again what is quarantined and due, gets
	// tables before they run out. Returns how many ranges were unmapped.
	unsigned pass(unsigned) { return 0; }
	// Until then lcores may defer; 0: no longer.
	void serve(uint64_t) {}
	// Nothing that was unmapped before the call is still deferred. Not ok: some is quarantined.
	Outcome drain(unsigned) { return {}; }

	Backend &backend() { return *backend_; }

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
	enum class Kind { buffer, region, installed_region };
	Outcome map_new(unsigned lcore, const Memory &m, uint64_t limit, uint32_t dir, Kind kind,
			core::MappingRecord *&record, uint64_t &iova);
	core::MappingRecord *take_record();
	void feed_table();
	void give_back(core::MappingRecord *record);
	Status allocate(unsigned lcore, const Memory &m, uint64_t limit, core::MappingRecord &r, uint64_t &iova);
	void deallocate(unsigned lcore, const core::MappingRecord &r, uint64_t iova, uint64_t len);
	Outcome probe(uint64_t iova, uint64_t va, uint64_t len, uint32_t dir);
	Outcome install(uint64_t iova, uint64_t va, uint64_t len, uint32_t dir);
	Outcome tear_down(unsigned lcore, core::MappingRecord *record);
	void quarantine(core::MappingRecord *record);
	Status keep_out(core::Pfn first, core::Pfn end, Span *conflict);
	uint64_t large_page(const Memory &m, uint64_t size) const;

	core::Domain &domain_;
	core::MappingTable &table_;
	std::unique_ptr<Backend> backend_;
	TableSource tables_;
	cpu_set_t helpers_ = every_cpu();
	std::atomic<uint64_t> page_sizes_ = 0;

	struct Region {
		uint64_t len;  // the caller's
		core::MappingRecord *record;
	};
	std::mutex regions_mutex_;
	std::map<uint64_t, Region> regions_;  // by the caller's virtual address
	std::mutex quarantine_mutex_;
	core::MappingRecord *quarantined_ = nullptr;  // a list
};

}  // namespace iovad::dma
