// SPDX-License-Identifier: BSD-3-Clause
// EAL maps its own memory in its default VFIO container, at addresses of its choice: the
// virtual address or the physical one. A domain in the same container keeps off:
//
// - What EAL may map at any later time is reserved at once: in IOVA mode VA the virtual
//   areas that EAL set aside for memory at start, in mode PA all of the machine's RAM. A
//   map of EAL's that met one of ours would fail, and EAL takes that failure for success.
// - External memory has addresses that applications choose. It is reserved when it comes
//   and released when it goes.
#pragma once

#include <rte_memory.h>

#include "core/domain.h"
#include "core/mapping_table.h"

namespace iovad::eal {

class EalMemory {
public:
	EalMemory(core::Domain &domain, core::MappingTable &mappings, const char *domain_name);
	~EalMemory();
	EalMemory(const EalMemory &) = delete;
	EalMemory &operator=(const EalMemory &) = delete;

	// Begins. 0 or an errno, logged.
	int start();

private:
	static void on_event(rte_mem_event event, const void *address, size_t len, void *self);
	static int on_list(const rte_memseg_list *list, void *self);
	static int on_segments(const rte_memseg_list *list, const rte_memseg *segment, size_t len, void *self);
	int watch();
	void reserve_ram();
	// Whether this memory's addresses were reserved at start.
	bool known(const rte_memseg_list *list) const;
	void each_run(const rte_memseg_list *list, const rte_memseg *segment, size_t len, rte_mem_event event);
	void come(uint64_t va, uint64_t iova, uint64_t len);
	void go(uint64_t va, uint64_t iova, uint64_t len);
	bool ours(uint64_t va, uint64_t iova, uint64_t len) const;
	bool granules(uint64_t &iova, uint64_t &len) const;
	bool reserve(uint64_t iova, uint64_t len);

	core::Domain &domain_;
	core::MappingTable &mappings_;
	const char *name_;
	char callback_name_[RTE_MEM_EVENT_CALLBACK_NAME_LEN];
	bool watching_ = false;
	bool ram_reserved_ = false;  // in mode PA: all of it
	bool conflict_ = false;
};

}  // namespace iovad::eal
