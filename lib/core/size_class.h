// SPDX-License-Identifier: BSD-3-Clause
// What caches hold: naturally aligned blocks of 1, 2, 4 .. 64 granules, and apart those
// below 4 GiB and those above: a request limited to 32 bits takes from the low zone,
// where everything satisfies it, and never has to search a magazine. Where a domain lies
// on one side of 4 GiB only, or is to have one zone, all of it is the high zone.
#pragma once

#include "core/geometry.h"
#include "iovad/iovad_hot.h"

namespace iovad::core {

inline constexpr unsigned kClasses = 7;
inline constexpr unsigned kZones = IOVAD_HOT_ZONES;
inline constexpr unsigned kBins = kClasses * kZones;
static_assert(kBins == IOVAD_HOT_BINS);
inline constexpr uint64_t kCachedGranules = uint64_t{1} << (kClasses - 1);

// A class in a zone, kept as an offset in bytes: of the bin's pair of magazines in
// the cache of an lcore. So the hot paths need no arithmetic to get there.
class Bin {
public:
	static constexpr uint64_t kBytes = sizeof(iovad_hot_pair), kClassBytes = kZones * kBytes;

	constexpr Bin() = default;
	static constexpr Bin of(uint64_t klass, uint64_t zone) { return Bin(klass * kClassBytes + zone * kBytes); }
	// class_offset: klass * kClassBytes.
	static constexpr Bin at(uint64_t class_offset, uint64_t zone) { return Bin(class_offset + zone * kBytes); }
	static constexpr Bin numbered(unsigned index) { return Bin(index * kBytes); }

	uint64_t offset() const { return offset_; }
	constexpr unsigned index() const { return static_cast<unsigned>(offset_ / kBytes); }
	unsigned zone() const { return index() % kZones; }
	unsigned klass() const { return index() / kZones; }
	uint64_t granules() const { return uint64_t{1} << klass(); }

private:
	explicit constexpr Bin(uint64_t offset) : offset_(offset) {}

	uint64_t offset_ = 0;
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

// What the hot path takes for one granule in the high zone.
static_assert(Bin::of(0, 1).index() == IOVAD_HOT_COMMON);

}  // namespace iovad::core
