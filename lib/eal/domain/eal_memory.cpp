// SPDX-License-Identifier: BSD-3-Clause
#include "eal/domain/eal_memory.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include <rte_eal.h>
#include <rte_eal_memconfig.h>
#include <rte_errno.h>

#include "eal/log/log.h"

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

// Watching first: what comes between is then seen twice, which is the same as once.
int EalMemory::start()
{
	if (rte_eal_iova_mode() == RTE_IOVA_PA)
		reserve_ram();
	if (const int error = watch())
		return error;
	rte_memseg_list_walk(on_list, this);
	return error_ != 0 ? error_ : refresh();
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
	bool some = false, all = true;
	while (file && std::fgets(line, sizeof line, file.get())) {
		uint64_t first, last;
		char what[16];
		if (std::sscanf(line, "%" SCNx64 "-%" SCNx64 " : %15[^\n]", &first, &last, what) != 3 ||
		    std::strncmp(what, "System RAM", 10) != 0 || last == 0)
			continue;
		some = true;
		all &= reserve(granules(first, last - first + 1)) == Status::ok;
	}
	ram_reserved_ = some && all;
	if (!some)
		IOVAD_LOG(WARNING, "%s: /proc/iomem does not tell where RAM is (it needs CAP_SYS_ADMIN): memory "
			  "that EAL adds later may collide with what is mapped; run as root, or with "
			  "--iova-mode=va", name_);
}

bool EalMemory::known(const rte_memseg_list *list) const
{
	return !list->external && (rte_eal_iova_mode() == RTE_IOVA_VA || ram_reserved_);
}

// Segments follow each other in the array as in the address space; their IOVAs need not.
template <class Use>
void EalMemory::each_run(const rte_memseg_list *list, const rte_memseg *segment, size_t len, Use use)
{
	for (const rte_memseg *end = segment + len / list->page_sz; segment < end;) {
		const rte_memseg *first = segment++;
		if (first->iova == RTE_BAD_IOVA)
			continue;
		uint64_t bytes = list->page_sz;
		for (; segment < end && segment->iova == first->iova + bytes; ++segment)
			bytes += list->page_sz;
		use(Span{first->addr_64, first->iova, bytes});
	}
}

// In mode VA an area is mapped at itself, page by page as it is filled.
int EalMemory::on_list(const rte_memseg_list *list, void *self)
{
	auto *memory = static_cast<EalMemory *>(self);
	if (!list->external && rte_eal_iova_mode() == RTE_IOVA_VA &&
	    memory->reserve(memory->granules(list->addr_64, list->len)) != Status::ok)
		memory->come({list->addr_64, list->addr_64, list->len});  // says so
	return 0;
}

int EalMemory::on_segments(const rte_memseg_list *list, const rte_memseg *segment, size_t len, void *self)
{
	auto *memory = static_cast<EalMemory *>(self);
	if (memory->known(list))
		return 0;
	return memory->guarded([&] {
		each_run(list, segment, len, [&](const Span &span) { memory->come(span); });
	});
}

void EalMemory::on_event(rte_mem_event event, const void *address, size_t len, void *self)
{
	auto *memory = static_cast<EalMemory *>(self);
	const rte_memseg_list *list = rte_mem_virt2memseg_list(address);
	if (!list || memory->known(list))
		return;
	const rte_memseg *segment = rte_mem_virt2memseg(address, list);
	std::lock_guard guard(memory->mutex_);
	if (event == RTE_MEM_EVENT_ALLOC)
		on_segments(list, segment, len, self);
	else
		memory->guarded([&] { memory->go(list, segment, len); });
}

// EAL is C: nothing is thrown through it.
template <class Use> int EalMemory::guarded(Use use)
try {
	use();
	return 0;
} catch (const std::bad_alloc &) {
	IOVAD_LOG(ERR, "%s: no memory to keep track of what EAL maps", name_);
	error_ = ENOMEM;
	return -1;
}

int EalMemory::refresh()
{
	rte_mcfg_mem_read_lock();
	int error;
	{
		std::lock_guard guard(mutex_);
		error_ = 0;
		guarded([this] { give_back({0, domain_.geometry().end}, wanted_without(0, 0)); });
		rte_memseg_contig_walk_thread_unsafe(on_segments, this);
		error = error_;
	}
	rte_mcfg_mem_read_unlock();
	return error;
}

void EalMemory::go(const rte_memseg_list *list, const rte_memseg *segment, uint64_t len)
{
	const GranuleSet wanted = wanted_without(segment->addr_64, len);
	each_run(list, segment, len, [&](const Span &span) { give_back(granules(span.iova, span.len), wanted); });
}

// What is to be kept when [without_first, without_end) of the process's memory goes: two
// memories may share a granule, where it is longer than a page.
struct EalMemory::Wanted {
	EalMemory &memory;
	uint64_t without_first, without_end;
	GranuleSet set;

	void add(const Span &span)
	{
		const uint64_t end = span.va + span.len;
		if (const uint64_t before = std::min(end, without_first); span.va < before)
			set.add(memory.granules(span.iova, before - span.va));
		if (const uint64_t after = std::max(span.va, without_end); after < end)
			set.add(memory.granules(span.iova + (after - span.va), end - after));
	}
};

int EalMemory::on_wanted(const rte_memseg_list *list, const rte_memseg *segment, size_t len, void *arg)
{
	auto &wanted = *static_cast<Wanted *>(arg);
	if (wanted.memory.known(list))
		return 0;
	return wanted.memory.guarded([&] { each_run(list, segment, len, [&](const Span &span) { wanted.add(span); }); });
}

GranuleSet EalMemory::wanted_without(uint64_t va, uint64_t len)
{
	Wanted wanted{*this, va, va + len, {}};
	if (rte_memseg_contig_walk_thread_unsafe(on_wanted, &wanted) < 0)
		throw std::bad_alloc();
	return std::move(wanted.set);
}

void EalMemory::come(const Span &span)
{
	if (ours(span))
		return;
	const GranuleRun run = granules(span.iova, span.len);
	switch (take(run)) {
	case Status::ok:
		return;
	case Status::exists: {
		const core::Extent live = domain_.space().next_live(run.first);
		const core::Geometry &g = domain_.geometry();
		error_ = EEXIST;
		IOVAD_LOG(ERR, "%s: EAL's memory is to be at 0x%" PRIx64 ", %" PRIu64 " bytes, where this domain has "
			  "addresses in use (0x%" PRIx64 ", %" PRIu64 " bytes): devices may reach the wrong memory. Give "
			  "the domain a window of its own (iova_first, iova_last), or reserve this range first", name_,
			  span.iova, span.len, g.bytes(live.start), g.bytes(live.end - live.start));
		return;
	}
	default:
		error_ = EAGAIN;
		IOVAD_LOG(ERR, "%s: no memory to keep off 0x%" PRIx64 ", %" PRIu64 " bytes, which EAL maps: raise "
			  "max_ranges", name_, span.iova, span.len);
	}
}

// An external heap in this domain: see heap.h.
bool EalMemory::ours(const Span &span) const
{
	core::Mapping m;
	return mappings_.find_iova(span.iova, span.len, m) && m.va + (span.iova - m.iova) == span.va;
}

// The granules of the domain that [iova, iova + len) touches.
GranuleRun EalMemory::granules(uint64_t iova, uint64_t len) const
{
	const core::Geometry &g = domain_.geometry();
	return {std::max(g.pfn(iova), g.first), std::min(g.pfn(iova + (len - 1)) + 1, g.end)};
}

Status EalMemory::reserve(GranuleRun run)
{
	const core::Geometry &g = domain_.geometry();
	return run.first >= run.end ? Status::ok : domain_.reserve(g.bytes(run.first), g.bytes(run.end - run.first));
}

// What of the run nobody has reserved.
Status EalMemory::take(GranuleRun run)
{
	Status status = Status::ok;
	for (core::Pfn pfn = run.first; pfn < run.end;) {
		core::Extent e = domain_.space().find(pfn);
		if (e.value == core::kReserved) {
			pfn = e.end;
			continue;
		}
		const core::Pfn first = pfn;
		do
			pfn = std::min(e.end, run.end);
		while (pfn < run.end && (e = domain_.space().find(pfn)).value != core::kReserved);
		if (const Status s = take_unreserved({first, pfn}); s != Status::ok)
			status = s;
	}
	return status;
}

// Around what is live, if need be.
Status EalMemory::take_unreserved(GranuleRun run)
{
	const Status whole = reserve(run);
	if (whole == Status::ok)
		taken_.add(run);
	if (whole != Status::exists)
		return whole;
	for (core::Pfn pfn = run.first; pfn < run.end;) {
		const core::Extent live = domain_.space().next_live(pfn);
		const GranuleRun gap = {pfn, std::min(live.start, run.end)};
		if (gap.first < gap.end && reserve(gap) == Status::ok)
			taken_.add(gap);
		pfn = live.end;
	}
	return whole;
}

void EalMemory::give_back(GranuleRun run, const GranuleSet &wanted)
{
	const core::Geometry &g = domain_.geometry();
	GranuleSet goes;
	for (const GranuleRun part : taken_.common(run))
		goes.add(part);
	for (const GranuleRun part : wanted.common(run))
		goes.remove(part);
	for (const GranuleRun part : goes.common(run)) {
		// Without memory for it now, the next refresh() tries again.
		if (domain_.unreserve(g.bytes(part.first), g.bytes(part.end - part.first)) != Status::again)
			taken_.remove(part);
	}
}

}  // namespace iovad::eal
