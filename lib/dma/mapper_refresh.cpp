// SPDX-License-Identifier: BSD-3-Clause
// What devices can address, and what is kept out of use because they cannot.
#include <algorithm>

#include "dma/mapper.h"

namespace iovad::dma {

Outcome Mapper::refresh(Span *conflict)
{
	Info info;
	if (const Outcome o = backend_->info(info); !o.ok())
		return o;
	page_sizes_.store(info.page_sizes, std::memory_order_relaxed);
	const core::Geometry &g = domain_.geometry();
	// Between what is valid, granules that are not wholly valid are not for us.
	core::Pfn from = g.first;
	Status status = Status::ok;
	const auto keep_out_until = [&](core::Pfn to) {
		if (from >= to)
			return;
		const Status s = keep_out(from, to, status == Status::exists ? nullptr : conflict);
		if (s != Status::ok && status != Status::exists)
			status = s;
	};
	for (const Span &span : info.valid) {
		const core::Geometry part = core::Geometry::of(g.granule, span.first, span.last);
		if (part.first >= part.end || part.end <= from)
			continue;
		keep_out_until(std::min(part.first, g.end));
		from = part.end;
	}
	keep_out_until(g.end);
	if (status == Status::exists)
		return {status, 0, "a device joined that cannot address what is in use"};
	if (status != Status::ok)
		return {status, 0, "no memory to keep what devices cannot address out of use"};
	return {};
}

// Reserves [first, end); around what is in use there.
Status Mapper::keep_out(core::Pfn first, core::Pfn end, Span *conflict)
{
	const core::Geometry &g = domain_.geometry();
	Status whole = domain_.reserve(g.bytes(first), g.bytes(end - first));
	if (whole == Status::exists && make_room(core::kNoLcore))
		whole = domain_.reserve(g.bytes(first), g.bytes(end - first));
	if (whole != Status::exists)
		return whole;
	for (core::Pfn pfn = first; pfn < end;) {
		const core::Extent e = domain_.space().next_live(pfn);
		const core::Pfn gap_end = std::min(e.start, end);
		if (pfn < gap_end)
			domain_.reserve(g.bytes(pfn), g.bytes(gap_end - pfn));
		if (gap_end < end && conflict) {
			*conflict = {g.bytes(e.start), g.bytes(e.end) - 1};
			conflict = nullptr;
		}
		pfn = e.end;
	}
	return whole;
}

}  // namespace iovad::dma
