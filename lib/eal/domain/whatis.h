// SPDX-License-Identifier: BSD-3-Clause
// What an address is to a domain: for addresses from a kernel's log. For diagnosis; it takes
// locks, and keeps lcores out of their caches for a moment.
#pragma once

#include <cstdint>
#include <string>

#include "eal/domain/handle.h"

namespace iovad::eal {

struct Whatis {
	// "outside" of the window; "free"; "held_back": free, and handed out late, in debug mode; "reserved"; "live":
	// allocated; "cached"; "mapped"; "region"; "deferred": devices may still reach it; "quarantined": likewise;
	// "padding": of a mapping, for the sake of its alignment; "bounce": of a pool's window.
	const char *state;
	uint64_t first, last;  // of the extent in which it lies, or of the mapping; not if it is outside

	bool mapped;           // and what follows is known
	uint64_t va;           // of the address itself
	uint32_t dir;

	std::string pool;      // bounce
	const char *slot;      // "mapped" and then the slot's first and last; "free"; else null

	struct Neighbour {
		const char *state;  // null: there is none
		uint64_t first, last;
		uint64_t distance;  // bytes from the address to its nearest byte
	};
	Neighbour below, above;
};

Whatis what_is(iovad_domain &d, uint64_t address);

}  // namespace iovad::eal
