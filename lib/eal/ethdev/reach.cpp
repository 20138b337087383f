// SPDX-License-Identifier: BSD-3-Clause
#include "eal/ethdev/reach.h"

#include <rte_eal.h>
#include <rte_memory.h>

#include "iovad/iovad_dma.h"

namespace iovad::eal {

void Reach::begin(iovad_domain &d)
{
	domain_ = &d;
	removals_ = d.mappings->removals();
	last_ = Span();
	for (Span &span : spans_)
		span = Span();
}

void Reach::forget_removed(uint64_t removals)
{
	removals_ = removals;
	const auto check = [this](Span &span) {
		if (span.name != 0 && !domain_->mappings->is_mapped(span.name))
			span = Span();
	};
	check(last_);
	for (Span &span : spans_)
		check(span);
}

bool Reach::find(const rte_mbuf &segment)
{
	for (const Span &span : spans_) {
		if (span.holds(segment)) {
			last_ = span;
			return true;
		}
	}
	Span found;
	if (!look_up(segment, found))
		return false;
	last_ = found;
	spans_[next_++ % kSpans] = found;
	return true;
}

bool Reach::look_up(const rte_mbuf &segment, Span &out) const
{
	core::Mapping m;
	core::MappingTable::Name name;
	if (domain_->mappings->find_va(data_of(segment), segment.data_len, m, name)) {
		out = {m.va, m.len, m.iova - m.va, name};
		if ((m.dir & IOVAD_TO_DEVICE) && out.holds(segment))
			return true;
	}
	return mapped_by_eal(segment, out);
}

// EAL maps all memory of its own in its container. External memory it maps for heaps, and those
// of ours are found above; what else there may be is copied.
bool Reach::mapped_by_eal(const rte_mbuf &segment, Span &out) const
{
	if (!domain_->eal_memory)
		return false;
	const void *data = reinterpret_cast<void *>(data_of(segment));
	const rte_memseg_list *list = rte_mem_virt2memseg_list(data);
	if (!list || list->external)
		return false;
	if (rte_eal_iova_mode() == RTE_IOVA_VA) {
		out = {list->addr_64, list->len, 0, 0};
	} else {
		const rte_memseg *page = rte_mem_virt2memseg(data, list);
		if (!page || page->iova == RTE_BAD_IOVA)
			return false;
		out = {page->addr_64, page->len, page->iova - page->addr_64, 0};
	}
	return out.holds(segment);
}

}  // namespace iovad::eal
