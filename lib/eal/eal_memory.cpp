// SPDX-License-Identifier: BSD-3-Clause
#include "eal/eal_memory.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <memory>

#include <rte_eal.h>
#include <rte_errno.h>

#include "eal/log.h"

namespace iovad::eal {

using core::Status;

EalMemory::EalMemory(core::Domain &domain, core::MappingTable &mappings, const char *domain_name)
	: domain_(domain), mappings_(mappings), name_(domain_name)
{
	std::snprintf(callback_name_, sizeof callback_name_, "iovad_%s", domain_name);
}

EalMemory::~EalMemory()
{
	if (watching_)
		rte_mem_event_callback_unregister(callback_name_, this);
}

// Watching first: what comes between is then reserved twice, which is the same as once.
int EalMemory::start()
{
	if (rte_eal_iova_mode() == RTE_IOVA_PA)
		reserve_ram();
	if (const int error = watch())
		return error;
	rte_memseg_list_walk(on_list, this);
	rte_memseg_contig_walk(on_segments, this);
	return conflict_ ? EEXIST : 0;
}

int EalMemory::watch()
{
	if (rte_mem_event_callback_register(callback_name_, on_event, this) == 0) {
		watching_ = true;
		return 0;
	}
	if (rte_errno == ENOTSUP)  // --legacy-mem: EAL's memory never changes
		return 0;
	IOVAD_LOG(ERR, "%s: EAL's memory events cannot be watched (%s)", name_, rte_strerror(rte_errno));
	return rte_errno;
}

// Which pages EAL will get nobody knows, but they are RAM.
void EalMemory::reserve_ram()
{
	const std::unique_ptr<FILE, int (*)(FILE *)> file(std::fopen("/proc/iomem", "r"), std::fclose);
	char line[256];
	bool some = false;
	while (file && std::fgets(line, sizeof line, file.get())) {
		uint64_t first, last;
		char what[16];
		if (std::sscanf(line, "%" SCNx64 "-%" SCNx64 " : %15[^\n]", &first, &last, what) != 3 ||
		    std::strncmp(what, "System RAM", 10) != 0 || last == 0)
			continue;
		some |= reserve(first, last - first + 1);
	}
	ram_reserved_ = some;
	if (!some)
		IOVAD_LOG(WARNING, "%s: /proc/iomem does not tell where RAM is (it needs CAP_SYS_ADMIN): memory "
			  "that EAL adds later may collide with what is mapped; run as root, or with "
			  "--iova-mode=va", name_);
}

bool EalMemory::known(const rte_memseg_list *list) const
{
	return !list->external && (rte_eal_iova_mode() == RTE_IOVA_VA || ram_reserved_);
}

// In mode VA an area is mapped at itself, page by page as it is filled.
int EalMemory::on_list(const rte_memseg_list *list, void *self)
{
	auto *memory = static_cast<EalMemory *>(self);
	if (!list->external && rte_eal_iova_mode() == RTE_IOVA_VA)
		memory->come(list->addr_64, list->addr_64, list->len);
	return 0;
}

int EalMemory::on_segments(const rte_memseg_list *list, const rte_memseg *segment, size_t len, void *self)
{
	auto *memory = static_cast<EalMemory *>(self);
	if (!memory->known(list))
		memory->each_run(list, segment, len, RTE_MEM_EVENT_ALLOC);
	return 0;
}

void EalMemory::on_event(rte_mem_event event, const void *address, size_t len, void *self)
{
	auto *memory = static_cast<EalMemory *>(self);
	const rte_memseg_list *list = rte_mem_virt2memseg_list(address);
	if (list && !memory->known(list))
		memory->each_run(list, rte_mem_virt2memseg(address, list), len, event);
}

// Segments follow each other in the array as in the address space; their IOVAs need not.
void EalMemory::each_run(const rte_memseg_list *list, const rte_memseg *segment, size_t len, rte_mem_event event)
{
	for (const rte_memseg *end = segment + len / list->page_sz; segment < end;) {
		const rte_memseg *first = segment;
		uint64_t bytes = 0;
		while (segment < end && segment->iova == first->iova + bytes) {
			bytes += list->page_sz;
			++segment;
		}
		if (bytes == 0)
			++segment;
		else if (first->iova == RTE_BAD_IOVA)
			continue;
		else if (event == RTE_MEM_EVENT_ALLOC)
			come(first->addr_64, first->iova, bytes);
		else
			go(first->addr_64, first->iova, bytes);
	}
}

void EalMemory::come(uint64_t va, uint64_t iova, uint64_t len)
{
	if (ours(va, iova, len) || reserve(iova, len))
		return;
	conflict_ = true;
	IOVAD_LOG(ERR, "%s: EAL maps 0x%" PRIx64 ", %" PRIu64 " bytes, where this domain has addresses in use: "
		  "devices may reach the wrong memory. Give the domain a window of its own (iova_first, "
		  "iova_last), or reserve this range first", name_, iova, len);
}

void EalMemory::go(uint64_t va, uint64_t iova, uint64_t len)
{
	if (!ours(va, iova, len) && granules(iova, len))
		domain_.unreserve(iova, len);
}

// An external heap in this domain: see heap.h.
bool EalMemory::ours(uint64_t va, uint64_t iova, uint64_t len) const
{
	core::Mapping m;
	return mappings_.find_iova(iova, len, m) && m.va + (iova - m.iova) == va;
}

// The granules of the domain that [iova, iova + len) touches; false: none.
bool EalMemory::granules(uint64_t &iova, uint64_t &len) const
{
	const core::Geometry &g = domain_.geometry();
	const core::Pfn first = std::max(g.pfn(iova), g.first);
	const core::Pfn end = std::min(g.pfn(iova + (len - 1)) + 1, g.end);
	if (first >= end)
		return false;
	iova = g.bytes(first);
	len = g.bytes(end - first);
	return true;
}

bool EalMemory::reserve(uint64_t iova, uint64_t len)
{
	return !granules(iova, len) || domain_.reserve(iova, len) == Status::ok;
}

}  // namespace iovad::eal
