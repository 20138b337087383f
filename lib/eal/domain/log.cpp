// SPDX-License-Identifier: BSD-3-Clause
#include "eal/domain/log.h"

#include <cinttypes>
#include <cstdio>
#include <iterator>

#include "core/clock.h"
#include "eal/log/log.h"
#include "eal/log/outcome.h"

namespace iovad::eal {

void DomainLog::mention(Kind kind, uint64_t withheld)
{
	static constexpr const char *kNames[] = {"failures of the backend", "attempts to unmap what is quarantined",
						 "unmaps in the caller", "unmaps of what was not mapped",
						 "attempts to get tree nodes", "deaths of processes"};
	static_assert(std::size(kNames) == kKinds);
	if (withheld != 0)
		IOVAD_LOG(WARNING, "%s: %" PRIu64 " more %s in %" PRIu64 " s", domain_, withheld, kNames[kind],
			  LogLimit::kIntervalNs / 1'000'000'000);
}

bool DomainLog::may_write(Kind kind)
{
	const LogLimit::Verdict verdict = limits_[kind].ask(core::now_ns());
	mention(kind, verdict.withheld);
	return verdict.write;
}

void DomainLog::settle(uint64_t now)
{
	for (int kind = 0; kind < kKinds; ++kind)
		mention(static_cast<Kind>(kind), limits_[kind].settle(now));
}

void DomainLog::backend_failed(const char *what, uint64_t address, uint64_t len, const dma::Outcome &outcome)
{
	if (!may_write(failure))
		return;
	char text[96];
	std::snprintf(text, sizeof text, "cannot %s 0x%" PRIx64 ", %" PRIu64 " bytes", what, address, len);
	log_outcome(domain_, text, outcome);
}

void DomainLog::quarantined(uint64_t iova, uint64_t len, unsigned tries, const dma::Outcome &outcome)
{
	if (!may_write(quarantine))
		return;
	char text[96];
	std::snprintf(text, sizeof text, "0x%" PRIx64 ", %" PRIu64 " bytes: devices may still reach it after %u attempts to "
		      "unmap it", iova, len, tries);
	log_outcome(domain_, text, outcome, tries < kPatience ? RTE_LOG_WARNING : RTE_LOG_ERR);
}

void DomainLog::unmapped_in_caller()
{
	if (may_write(in_caller))
		IOVAD_LOG(WARNING, "%s: no control lcore comes by (none was started, or it has made no pass yet), so that lazy "
			  "unmapping is done in the caller: see iovad_control.h", domain_);
}

void DomainLog::bad_unmap(uint64_t iova, uint64_t len)
{
	if (may_write(not_mapped))
		IOVAD_LOG(ERR, "%s: unmap of 0x%" PRIx64 ", %" PRIu64 " bytes, which is not mapped with that length; "
			  "IOVAD_DOMAIN_F_DEBUG finds where", domain_, iova, len);
}

void DomainLog::no_nodes(uint64_t bytes)
{
	if (may_write(nodes))
		IOVAD_LOG(ERR, "%s: EAL has no memory for %" PRIu64 " KiB of tree nodes, without which allocations will fail with "
			  "-EAGAIN: give it more, or create the domain with more max_ranges", domain_, bytes >> 10);
}

void DomainLog::buried(unsigned processes, unsigned caches, uint64_t addresses)
{
	if (may_write(deaths))
		IOVAD_LOG(WARNING, "%s: %u processes died without detaching: %u caches of their lcores are free again, %" PRIu64
			  " addresses in them back in the tree; what they were handed out stays live", domain_, processes,
			  caches, addresses);
}

}  // namespace iovad::eal
