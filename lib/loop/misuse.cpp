// SPDX-License-Identifier: BSD-3-Clause
#include "loop/misuse.h"

#include <cinttypes>
#include <cstdio>

#include <rte_debug.h>
#include <rte_mempool.h>

#include "core/clock.h"
#include "loop/log.h"

namespace iovad::loop {

namespace {

const char *text_of(Misuse misuse)
{
	switch (misuse) {
	case Misuse::not_mapped:
		return "is not mapped";
	case Misuse::direction:
		return "is mapped for the other direction only";
	case Misuse::crosses_end:
		return "crosses the end of its mapping";
	}
	return "";
}

struct Text {
	char text[160];
};

// What the domain knows of the address.
Text state_of(iovad_domain *domain, rte_iova_t iova)
{
	Text out;
	iovad_range range;
	if (iovad_find(domain, iova, &range) != 0)
		std::snprintf(out.text, sizeof out.text, "free, or not of this domain");
	else if (range.state == IOVAD_RANGE_RESERVED)
		std::snprintf(out.text, sizeof out.text, "reserved, 0x%" PRIx64 " - 0x%" PRIx64, range.iova,
			      range.iova + range.len - 1);
	else if (!range.va)
		std::snprintf(out.text, sizeof out.text, "live, 0x%" PRIx64 " - 0x%" PRIx64 ", but not mapped (any more)",
			      range.iova, range.iova + range.len - 1);
	else
		std::snprintf(out.text, sizeof out.text, "live, 0x%" PRIx64 " - 0x%" PRIx64 ", mapped to %p", range.iova,
			      range.iova + range.len - 1, range.va);
	return out;
}

}  // namespace

void Reports::begin(iovad_domain *domain, const char *domain_name, bool panic)
{
	domain_ = domain;
	domain_name_ = domain_name;
	panic_ = panic;
}

void Reports::write(const Refused &refused)
{
	const eal::LogLimit::Verdict verdict = limit_.ask(core::now_ns());
	mention(verdict.withheld);
	if (!verdict.write && !panic_)
		return;
	const bool reads = refused.dir == IOVAD_TO_DEVICE;
	LOOP_LOG(ERR, "%s, %s queue %u: %s %u bytes at 0x%" PRIx64 ", which %s. %s buffer of mbuf %p, pool %s. "
		 "Domain %s has the address as %s", port_.c_str(), reads ? "tx" : "rx", refused.queue,
		 reads ? "reading" : "writing", refused.len, refused.iova, text_of(refused.misuse),
		 RTE_MBUF_HAS_EXTBUF(refused.mbuf) ? "External" : "The", static_cast<const void *>(refused.mbuf),
		 refused.mbuf->pool->name, domain_name_, state_of(domain_, refused.iova).text);
	if (panic_)
		rte_panic("%s: misuse of memory, and on_fault=panic\n", port_.c_str());
}

void Reports::end() { mention(limit_.settle(UINT64_MAX)); }

void Reports::mention(uint64_t withheld)
{
	if (withheld != 0)
		LOOP_LOG(ERR, "%s: %" PRIu64 " more of these", port_.c_str(), withheld);
}

}  // namespace iovad::loop
