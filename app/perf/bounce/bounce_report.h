// SPDX-License-Identifier: BSD-3-Clause
// What "bounce" found, ready to be written. Times in nanoseconds for one buffer, given and taken back.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <vector>

#include "bounce/bounce_options.h"
#include "measure/call_times.h"

namespace iovad::perf {

// How a device gets a buffer and gives it back; and what there is to compare with.
enum class Way {
	copy,           // a plain memcpy there and back
	pair,           // an address allocated and freed
	bounce_sent,    // copied in only
	bounce,         // copied in, and out
	mapped_strict,
	mapped_lazily,  // without what the control lcore does for it
	looked_up,      // in a region
};
inline constexpr unsigned kWays = 7;
const char *name_of(Way way);

struct SizeReport {
	uint64_t bytes = 0;
	std::array<Spread, kWays> ns = {};

	double of(Way way) const { return ns[static_cast<unsigned>(way)].median; }
	// What the bounce takes beyond the copy, in pairs; its share of the copy's bandwidth.
	double pairs_beyond_copy() const { return (of(Way::bounce) - of(Way::copy)) / of(Way::pair); }
	double share_of_bandwidth() const { return of(Way::copy) / of(Way::bounce); }
};

struct ScalingReport {
	uint64_t bytes = 0;
	unsigned lcores = 0;
	Spread ns = {};  // of each lcore
};

struct BounceReport {
	BounceOptions options;
	std::vector<unsigned> lcores;
	std::vector<SizeReport> sizes;
	std::vector<ScalingReport> scaling;
	uint64_t wrong = 0;  // buffers that the device would have seen otherwise, or that came back so
	uint64_t left = 0;   // mappings and slots at the end; what verify() found

	bool good() const { return wrong == 0 && left == 0; }

	// Up to so many bytes sending a copy is cheaper than mapping that way; between two sizes by a line
	// from one to the other. Nothing: for all of them. 0: for none.
	std::optional<double> crossover(Way way) const;
};

void write_table(FILE *out, const BounceReport &report);
void write_json(FILE *out, const BounceReport &report);
void write_svg(FILE *out, const BounceReport &report);

}  // namespace iovad::perf
