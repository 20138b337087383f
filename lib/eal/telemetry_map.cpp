// SPDX-License-Identifier: BSD-3-Clause
// /iovad/map: the window in slices of one length, the last of which may be cut, and how much of
// each is live (what caches hold too) and reserved. Bytes, since of a slice of a 48-bit domain
// all there is may be a millionth.
#include <algorithm>
#include <array>

#include "eal/telemetry.h"

namespace iovad::eal {

namespace {

struct Slices {
	core::Pfn first;
	uint64_t width;  // granules
	std::array<uint64_t, kMostBuckets> live{}, reserved{};

	// The part of an extent in each slice that it touches.
	void add(const core::Extent &e)
	{
		auto &sums = core::is_live(e.value) ? live : reserved;
		for (core::Pfn at = e.start; at < e.end;) {
			const uint64_t slice = (at - first) / width;
			const core::Pfn end = std::min(e.end, first + (slice + 1) * width);
			sums[slice] += end - at;
			at = end;
		}
	}
};

}  // namespace

void tell_map(iovad_domain &d, unsigned buckets, Answer &answer)
{
	const core::Geometry &g = d.core.geometry();
	const uint64_t granules = g.end - g.first, width = granules / buckets + (granules % buckets != 0);
	const uint64_t count = granules / width + (granules % width != 0);
	Slices slices = {.first = g.first, .width = width};
	for (core::Pfn at = g.first; at < g.end;) {
		const core::Extent e = d.core.find(g.bytes(at));
		if (e.value != 0)
			slices.add(e);
		at = e.end;
	}
	answer.number("first", g.first_byte());
	answer.number("last", g.last_byte());
	answer.number("bucket_bytes", g.bytes(width));
	for (const auto &[name, sums] : {std::pair("live", &slices.live), std::pair("reserved", &slices.reserved)}) {
		answer.numbers(name, [&, sums = sums](auto add) {
			for (uint64_t i = 0; i < count; ++i)
				add(g.bytes((*sums)[i]));
		});
	}
}

}  // namespace iovad::eal
