// SPDX-License-Identifier: BSD-3-Clause
// What a domain says again and again while it is in trouble, each kind within bounds.
#pragma once

#include <cstdint>

#include "dma/backend.h"
#include "dma/quarantine.h"
#include "eal/log/limit.h"

namespace iovad::eal {

class DomainLog {
public:
	// domain: its name, which stays.
	explicit DomainLog(const char *domain) : domain_(domain) {}

	// A call failed in the backend: "cannot <what> <address>, <len> bytes".
	void backend_failed(const char *what, uint64_t address, uint64_t len, const dma::Outcome &outcome);
	// A translation does not go away, and so often it was tried. An error from kPatience on.
	static constexpr unsigned kPatience = dma::Quarantine::kTriesReported;
	void quarantined(uint64_t iova, uint64_t len, unsigned tries, const dma::Outcome &outcome);
	// A caller unmaps what it wanted to defer, since no control lcore has come by.
	void unmapped_in_caller();
	// What was to be unmapped lazily was not mapped.
	void bad_unmap(uint64_t iova, uint64_t len);
	// EAL has no memory for so many bytes of tree nodes.
	void no_nodes(uint64_t bytes);
	// So many processes died; what they had in caches and in hand is back.
	void buried(unsigned processes, unsigned caches, uint64_t addresses);

	// Mentions what was withheld in intervals that are over.
	void settle(uint64_t now_ns);

private:
	enum Kind { failure, quarantine, in_caller, not_mapped, nodes, deaths, kKinds };

	bool may_write(Kind kind);
	void mention(Kind kind, uint64_t withheld);

	const char *const domain_;
	LogLimit limits_[kKinds];
};

}  // namespace iovad::eal
