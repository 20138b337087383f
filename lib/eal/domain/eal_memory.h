// SPDX-License-Identifier: BSD-3-Clause
// EAL maps its own memory in its default VFIO container, at addresses of its choice: the
// virtual address or the physical one. A domain in the same container keeps off:
//
// - What EAL may map at any later time is reserved at once: in IOVA mode VA the virtual
//   areas that EAL set aside for memory at start, in mode PA all of the machine's RAM. A
//   map of EAL's that met one of ours would fail, and EAL takes that failure for success.
// - External memory has addresses that applications choose. It is reserved when it comes
//   and released when it goes. That of heaps tells by events; what rte_extmem_register()
//   gave does not, and is found by refresh().
//
// Reservations do not count who made them. So that what others reserved stays, RAM for
// one, only granules that were free before are taken, and only they are given back.
#pragma once

#include <mutex>

#include <rte_memory.h>

#include "core/domain.h"
#include "core/mapping_table.h"
#include "eal/domain/granule_set.h"

namespace iovad::eal {

class EalMemory {
public:
	EalMemory(core::Domain &domain, core::MappingTable &mappings, const char *domain_name);
	~EalMemory();
	EalMemory(const EalMemory &) = delete;
	EalMemory &operator=(const EalMemory &) = delete;

	// Whether EAL tells when its memory changes, which it does not with --legacy-mem.
	bool watching() const { return watching_; }

	// Begins. 0 or an errno, logged.
	int start();
	// Looks at all memory anew. 0 or an errno, logged. Not from a memory event callback.
	int refresh();

private:
	struct Span {
		uint64_t va, iova, len;
	};
	struct Wanted;
	static void on_event(rte_mem_event event, const void *address, size_t len, void *self);
	static int on_list(const rte_memseg_list *list, void *self);
	static int on_segments(const rte_memseg_list *list, const rte_memseg *segment, size_t len, void *self);
	static int on_wanted(const rte_memseg_list *list, const rte_memseg *segment, size_t len, void *wanted);
	int watch();
	void reserve_ram();
	// Whether this memory's addresses were reserved at start.
	bool known(const rte_memseg_list *list) const;
	template <class Use> int guarded(Use use);
	// use(span) for each run of memory that has addresses for devices.
	template <class Use>
	static void each_run(const rte_memseg_list *list, const rte_memseg *segment, size_t len, Use use);
	GranuleSet wanted_without(uint64_t va, uint64_t len);
	void come(const Span &span);
	void go(const rte_memseg_list *list, const rte_memseg *segment, uint64_t len);
	bool ours(const Span &span) const;
	GranuleRun granules(uint64_t iova, uint64_t len) const;
	core::Status reserve(GranuleRun run);
	core::Status take(GranuleRun run);
	core::Status take_unreserved(GranuleRun run);
	void give_back(GranuleRun run, const GranuleSet &wanted);

	core::Domain &domain_;
	core::MappingTable &mappings_;
	const char *name_;
	char callback_name_[RTE_MEM_EVENT_CALLBACK_NAME_LEN];
	bool watching_ = false;
	bool ram_reserved_ = false;  // in mode PA: all of it

	std::mutex mutex_;  // after EAL's lock of its memory, which is held when events come
	GranuleSet taken_;  // for what is not known at start
	int error_ = 0;     // of the walk that is going on
};

}  // namespace iovad::eal
