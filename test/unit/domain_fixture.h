// SPDX-License-Identifier: BSD-3-Clause
// A domain in memory of its own, with a handle for one process.
#pragma once

#include <cstdlib>
#include <memory>

#include "core/domain.h"
#include "tree_fixture.h"

namespace iovad::core {

class OwnedDomain {
public:
	static constexpr uint64_t kGranule = 4096;

	static DomainConfig config(uint64_t last_byte, uint64_t max_ranges = 20000)
	{
		return {Geometry::of(kGranule, kGranule, last_byte), max_ranges, 64, 512, 12,
			asymmetric_fence::enable()};
	}
	// spare: bytes of memory behind the domain's own.
	explicit OwnedDomain(const DomainConfig &config, size_t spare_bytes = 0)
		: memory_(std::aligned_alloc(64, DomainState::bytes(config) + spare_bytes)),
		  state(DomainState::format(memory_.get(), config)), domain(state, 1),
		  spare(static_cast<std::byte *>(memory_.get()) + DomainState::bytes(config))
	{
	}

private:
	std::unique_ptr<void, FreeDeleter> memory_;

public:
	DomainState *state;
	Domain domain;
	std::byte *spare;
};

}  // namespace iovad::core
