// SPDX-License-Identifier: BSD-3-Clause
// The layout of a pool's state.
#include <memory>

#include "core/bounce/bounce_slots.h"

namespace iovad::core {

namespace {

// Of chunks that never came: nothing was ever mapped there. Never written.
ChunkRecords none;

DomainConfig domain_config(const BounceConfig &c)
{
	// It may end at 2^64.
	const Pfn first = c.base >> kBounceShift;
	const Geometry window = {kBounceGranule, kBounceShift, first, first + (c.bytes >> kBounceShift), true};
	// For the reserved range that it begins with; each chunk brings nodes.
	return {window, 1, c.caches, c.magazines, c.cache_percent, c.cached};
}

struct Layout {
	size_t counters, places, chunks, domain, bytes;

	explicit Layout(const BounceConfig &c)
	{
		const size_t n = c.bytes >> kChunkShift;
		counters = round_up(sizeof(BounceState));
		places = counters + sizeof(BounceCounters) * (kMaxLcores + 1);
		chunks = places + round_up(sizeof(BounceState::Place) * n);
		domain = chunks + round_up(sizeof(ChunkState) * n);
		bytes = domain + DomainState::bytes(domain_config(c));
	}
	static size_t round_up(size_t n) { return (n + 63) & ~size_t{63}; }
};

}  // namespace

size_t BounceState::bytes(const BounceConfig &config) { return Layout(config).bytes; }

BounceState *BounceState::format(void *memory, const BounceConfig &config)
{
	const Layout layout(config);
	const size_t n = config.bytes >> kChunkShift;
	auto *base = static_cast<std::byte *>(memory);
	auto *state = new (memory) BounceState{};
	state->config = config;
	state->counters = reinterpret_cast<BounceCounters *>(base + layout.counters);
	std::uninitialized_value_construct_n(state->counters, kMaxLcores + 1);
	state->places = reinterpret_cast<Place *>(base + layout.places);
	std::uninitialized_fill_n(state->places, n, Place{nullptr, &none});
	state->chunks = reinterpret_cast<ChunkState *>(base + layout.chunks);
	std::uninitialized_fill_n(state->chunks, n, ChunkState::absent);
	state->domain = DomainState::format(base + layout.domain, domain_config(config));
	// Into an empty tree, which has a node.
	const Geometry &window = state->domain->config.geometry;
	state->domain->space.reserve(window.first, window.end);
	return state;
}

bool BounceState::has_records(unsigned chunk) const { return places[chunk].load_records() != &none; }

}  // namespace iovad::core
