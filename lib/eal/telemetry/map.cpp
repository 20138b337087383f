// SPDX-License-Identifier: BSD-3-Clause
// /iovad/map: the window in equal slices, and how much of each is live (what caches hold too) and
// reserved, in millionths. Rounded up: whatever there is shows, be it one page of 2^47 bytes.
#include <array>
#include <cmath>

#include "eal/telemetry/telemetry.h"

namespace iovad::eal {

namespace {

uint64_t millionths(float share) { return static_cast<uint64_t>(std::ceil(1e6 * double{share})); }

}  // namespace

void tell_map(iovad_domain &d, unsigned buckets, Answer &answer)
{
	std::array<core::Occupancy, kMostBuckets> slices;
	d.core.occupancy(slices.data(), buckets);
	const auto column = [&](const char *name, float core::Occupancy::*share) {
		answer.numbers(name, [&](auto add) {
			for (unsigned i = 0; i < buckets; ++i)
				add(millionths(slices[i].*share));
		});
	};
	answer.number("first", d.core.geometry().first_byte());
	answer.number("last", d.core.geometry().last_byte());
	column("live_ppm", &core::Occupancy::live);
	column("reserved_ppm", &core::Occupancy::reserved);
}

}  // namespace iovad::eal
