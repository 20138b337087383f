// SPDX-License-Identifier: BSD-3-Clause
// The layout of a domain's memory.
#include <memory>

#include "core/domain.h"

namespace iovad::core {

namespace {

struct Layout {
	size_t caches, magazines, held_back, nodes, bytes;
	uint32_t node_count;

	explicit Layout(const DomainConfig &c) : node_count(RangeTree::nodes_for(c.max_ranges))
	{
		caches = round_up(sizeof(DomainState));
		magazines = caches + round_up(sizeof(LcoreCache) * c.caches);
		held_back = magazines + sizeof(Magazine) * c.magazines;
		nodes = round_up(held_back + sizeof(Span) * c.held_back);
		bytes = nodes + kNodeBytes * node_count;
	}
	static size_t round_up(size_t n) { return (n + 63) & ~size_t{63}; }
};

}  // namespace

size_t DomainState::bytes(const DomainConfig &config) { return Layout(config).bytes; }

DomainState *DomainState::format(void *memory, const DomainConfig &config)
{
	const Layout layout(config);
	auto *base = static_cast<std::byte *>(memory);
	auto *state = new (memory) DomainState{};
	state->config = config;
	state->caches = reinterpret_cast<LcoreCache *>(base + layout.caches);
	std::uninitialized_default_construct_n(state->caches, config.caches);
	for (uint32_t i = 0; i < config.caches; ++i)
		state->caches[i].init(&state->none);
	state->shared.init(&state->none);
	state->depot.init(reinterpret_cast<Magazine *>(base + layout.magazines), config.magazines,
			  config.geometry, config.cache_percent);
	state->space.init(base + layout.nodes, layout.node_count, config.geometry.first,
			  config.geometry.end, config.geometry.pfn(config.geometry.zone_border()));
	state->space.hold_back(reinterpret_cast<Span *>(base + layout.held_back), config.held_back);
	return state;
}

}  // namespace iovad::core
