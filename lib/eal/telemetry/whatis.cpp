// SPDX-License-Identifier: BSD-3-Clause
// /iovad/whatis,DOMAIN,ADDRESS: what an address is, what lies beside it, and in debug mode who had it.
#include "eal/domain/whatis.h"
#include "eal/telemetry/telemetry.h"

namespace iovad::eal {

namespace {

struct NeighbourNames {
	const char *state, *first, *last, *distance;
};
constexpr NeighbourNames kBelow = {"below", "below_first", "below_last", "below_distance"};
constexpr NeighbourNames kAbove = {"above", "above_first", "above_last", "above_distance"};

void tell_neighbour(const Whatis::Neighbour &n, const NeighbourNames &names, Answer &answer)
{
	if (!n.state)
		return;
	answer.text(names.state, n.state);
	answer.number(names.first, n.first);
	answer.number(names.last, n.last);
	answer.number(names.distance, n.distance);
}

}  // namespace

void tell_whatis(iovad_domain &d, uint64_t address, Answer &answer)
{
	const Whatis w = what_is(d, address);
	answer.text("domain", d.shared->name);
	answer.number("address", address);
	answer.text("state", w.state);
	if (w.last != 0) {
		answer.number("first", w.first);
		answer.number("last", w.last);
	}
	if (w.mapped) {
		answer.number("va", w.va);
		answer.texts("dir", [&w](auto add) {
			if (w.dir & IOVAD_TO_DEVICE)
				add("to_device");
			if (w.dir & IOVAD_FROM_DEVICE)
				add("from_device");
		});
	}
	if (w.slot) {
		answer.text("pool", w.pool.c_str());
		answer.text("slot", w.slot);
	}
	tell_neighbour(w.below, kBelow, answer);
	tell_neighbour(w.above, kAbove, answer);
	if (!d.checker)
		return;
	// Kernels tell of pages, and records begin anywhere in one.
	const uint64_t granule = d.core.geometry().granule;
	answer.texts("history", [&](auto add) {
		for (const std::string &line : d.checker->history(address & ~(granule - 1), granule))
			add(fit_telemetry(line).c_str());
	});
}

}  // namespace iovad::eal
