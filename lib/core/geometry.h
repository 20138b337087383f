// SPDX-License-Identifier: BSD-3-Clause
// The extent of a domain and the translation between bytes, in which users speak, and
// granule numbers (Pfn), in which the tree thinks.
#pragma once

#include "core/range_tree/node.h"

namespace iovad::core {

inline constexpr uint64_t k4GiB = uint64_t{1} << 32;

struct Geometry {
	uint64_t granule;  // bytes
	unsigned shift;    // log2 of it
	Pfn first;
	Pfn end;           // first granule after the domain
	bool one_zone = false;  // nobody asks for what lies below 4 GiB

	// first and last in bytes, last inclusive; granules they cut are left out, and 0 is
	// never part of a domain: devices and drivers take it for "none".
	static Geometry of(uint64_t granule, uint64_t first_byte, uint64_t last_byte)
	{
		const unsigned shift = static_cast<unsigned>(std::countr_zero(granule));
		const Pfn first = (first_byte >> shift) + ((first_byte & (granule - 1)) != 0);
		return {granule, shift, first == 0 ? 1 : first, under(last_byte, shift), false};
	}

	// Number of whole granules at or below the byte: an exclusive end.
	static Pfn under(uint64_t byte, unsigned shift)
	{
		const uint64_t mask = (uint64_t{1} << shift) - 1;
		return (byte >> shift) + ((byte & mask) == mask);
	}

	// Where the high zone of caches begins, in bytes: see size_class.h.
	uint64_t zone_border() const
	{
		return !one_zone && first < pfn(k4GiB) && pfn(k4GiB) < end ? k4GiB : 0;
	}
	unsigned zone_of(uint64_t byte) const { return byte >= zone_border(); }

	bool whole(uint64_t bytes) const { return (bytes & (granule - 1)) == 0; }
	uint64_t bytes(uint64_t granules) const { return granules << shift; }
	Pfn pfn(uint64_t byte) const { return byte >> shift; }
	uint64_t first_byte() const { return bytes(first); }
	uint64_t last_byte() const { return bytes(end) - 1; }  // wraps to 2^64 - 1 at the very end
	// Highest granule that lies wholly at or below the limit, inclusive; 0 is none.
	Pfn limit_pfn(uint64_t limit) const
	{
		const Pfn n = under(limit, shift);
		return n == 0 ? 0 : n - 1;
	}
	// [byte, byte + len) is whole granules inside the domain.
	bool holds(uint64_t byte, uint64_t len) const
	{
		return whole(byte) && whole(len) && len != 0 && pfn(byte) >= first &&
		       pfn(byte) < end && pfn(len) <= end - pfn(byte);
	}
};

}  // namespace iovad::core
