// SPDX-License-Identifier: BSD-3-Clause
#include "eal/domain/whatis.h"

#include "eal/bounce/registry.h"

namespace iovad::eal {

namespace {

using core::Extent;
using core::Geometry;
using core::Mapping;

const char *name_of(core::Value value)
{
	if (value == core::kReserved)
		return "reserved";
	if (value == core::kHeldBack)
		return "held_back";
	return core::is_live(value) ? "live" : "free";
}

bool is_region(iovad_domain &d, uint64_t iova)
{
	const core::LockGuard guard(d.mappings->lock());
	const core::MappingRecord *r = d.mappings->record_at(iova);
	return r && r->region;
}

// In a queue, or taken out of it by this process and not unmapped yet.
bool is_deferred(iovad_domain &d, uint64_t iova)
{
	const core::Pfn pfn = d.core.geometry().pfn(iova);
	return d.shared->retired->holds(pfn) || (d.mapper && d.mapper->holds_back(iova));
}

void set_mapping(const Mapping &m, uint64_t address, Whatis &w)
{
	w.mapped = true;
	w.va = m.va + (address - m.iova);
	w.dir = m.dir;
	w.first = m.iova;
	w.last = m.iova + (m.len - 1);
}

// False: it belongs to no pool.
bool find_in_pools(iovad_domain &d, uint64_t address, Whatis &w)
{
	bool found = false;
	for_each_bounce_pool([&](const iovad_bounce_pool &p) {
		const core::BounceConfig &config = p.state.config;
		if (&p.domain != &d || address - config.base >= config.bytes)
			return;
		found = true;
		w.state = "bounce";
		w.pool = p.name;
		w.slot = "free";
		p.slots.for_each_mapping([&](uint64_t iova, uint64_t len, uint32_t dir, const void *va) {
			if (address - iova >= len)
				return;
			set_mapping({iova, reinterpret_cast<uint64_t>(va), len, dir}, address, w);
			w.slot = "mapped";
		});
	});
	return found;
}

void set_live(iovad_domain &d, const Extent &e, uint64_t address, Whatis &w)
{
	Mapping m;
	w.state = "live";
	if (find_in_pools(d, address, w))
		return;
	if (d.mappings && d.mappings->find_iova(address, 1, m)) {
		set_mapping(m, address, w);
		w.state = is_region(d, address) ? "region" : is_deferred(d, address) ? "deferred" : "mapped";
	} else if (d.mapper && !d.mapper->gone(address)) {
		w.state = "quarantined";
	} else if (d.mappings && is_deferred(d, address)) {
		w.state = "deferred";
	} else if (d.mappings && d.mappings->find_iova(w.last, 1, m)) {
		w.state = "padding";
	} else if (e.value == core::kBlock && d.core.is_cached(w.first)) {
		w.state = "cached";
	}
}

// The nearest extent to that side which is not free.
Whatis::Neighbour neighbour(iovad_domain &d, const Extent &from, bool above, uint64_t address)
{
	const Geometry &g = d.core.geometry();
	Extent e = from;
	do {
		if (above ? e.end >= g.end : e.start <= g.first)
			return {};
		e = d.core.find(g.bytes(above ? e.end : e.start - 1));
	} while (core::is_free(e.value));
	const uint64_t first = g.bytes(e.start), last = g.bytes(e.end) - 1;
	return {name_of(e.value), first, last, above ? first - address : address - last};
}

}  // namespace

Whatis what_is(iovad_domain &d, uint64_t address)
{
	const Geometry &g = d.core.geometry();
	Whatis w = {};
	if (address < g.first_byte() || address > g.last_byte()) {
		w.state = "outside";
		const Whatis::Neighbour window = {"window", g.first_byte(), g.last_byte(),
						  address < g.first_byte() ? g.first_byte() - address : address - g.last_byte()};
		(address < g.first_byte() ? w.above : w.below) = window;
		return w;
	}
	const Extent e = d.core.find(address);
	w.state = name_of(e.value);
	w.first = g.bytes(e.start);
	w.last = g.bytes(e.end) - 1;
	w.below = neighbour(d, e, false, address);
	w.above = neighbour(d, e, true, address);
	if (core::is_live(e.value))
		set_live(d, e, address, w);
	return w;
}

}  // namespace iovad::eal
