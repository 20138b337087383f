// SPDX-License-Identifier: BSD-3-Clause
// What caches hold: naturally aligned blocks of 1, 2, 4 .. 64 granules, and apart those
// below 4 GiB and those above: a request limited to 32 bits takes from the low zone,
// where everything satisfies it, and never has to search a magazine. Where a domain lies
// on one side of 4 GiB only, all of it is the high zone.
#pragma once

#include "core/geometry.h"

namespace iovad::core {

inline constexpr unsigned kClasses = 7;
inline constexpr unsigned kZones = 2;
inline constexpr unsigned kBins = kClasses * kZones;
inline constexpr uint64_t kCachedGranules = uint64_t{1} << (kClasses - 1);

// A class in a zone.
struct Bin {
	unsigned index;

	static constexpr Bin of(unsigned klass, unsigned zone) { return {klass * kZones + zone}; }
	unsigned zone() const { return index % kZones; }
	unsigned klass() const { return index / kZones; }
	uint64_t granules() const { return uint64_t{1} << klass(); }
};

// For 1 to kCachedGranules granules.
constexpr unsigned class_of(uint64_t granules)
{
	return static_cast<unsigned>(std::bit_width(granules - 1));
}

// Granules that a request of this many occupies.
constexpr uint64_t block_of(uint64_t granules)
{
	return granules <= kCachedGranules ? std::bit_ceil(granules) : granules;
}

}  // namespace iovad::core
