// SPDX-License-Identifier: BSD-3-Clause
// What the workers of a soak, in all processes, and its conductor share: a memzone. Each worker has a seat,
// where it writes down what it owns before and after each call; so the seat of a process that was
// killed says what that owned, but for the one call that it was in.
#pragma once

#include <atomic>
#include <cstdint>

#include <iovad/iovad.h>
#include "soak/limits.h"
#include "soak/marks.h"
#include "soak/soak_report.h"

namespace iovad::perf {

struct Holding {
	// arriving, without an address, or leaving: whether it is owned only the killed process knew.
	enum State : uint32_t { empty, arriving, held, leaving };
	enum Kind : uint32_t { cached, exact, reserved, mapped, region };

	std::atomic<State> state;
	Kind kind;
	uint64_t iova, len;
	void *va;       // of mapped memory
	uint32_t slot;  // where the owner has that from
};

// What was allocated or reserved, back to the domain. 0 or a negative errno.
inline int give_back_to(iovad_domain *domain, const Holding &h)
{
	switch (h.kind) {
	case Holding::cached: return iovad_free(domain, h.iova, h.len);
	case Holding::exact: return iovad_free_range(domain, h.iova, h.len);
	default: return iovad_unreserve(domain, h.iova, h.len);
	}
}

constexpr unsigned kHoldings = 512;

struct alignas(64) Seat {
	enum Phase : uint32_t { absent, working, done };

	std::atomic<Phase> phase;
	std::atomic<uint64_t> standing;  // the halt that it stands at
	std::atomic<const char *> doing; // of this process only: where it is, for one that waits in vain
	std::atomic<uint64_t> steps;
	SoakCounts counts;  // the worker's alone; read while it stands, or is gone
	Holding holding[kHoldings];
};

struct Board {
	static constexpr const char *kZone = "iovad_soak_board";
	static constexpr unsigned kSeats = 2 * kMostThreads + 64 + kMostVisitors;

	std::atomic<uint64_t> halt;  // odd: stand still
	std::atomic<bool> stop;
	uint32_t seed;
	char domain[32];
	Marks marks;
	Seat seat[kSeats];  // lcores and threads, then visitors
};

}  // namespace iovad::perf
