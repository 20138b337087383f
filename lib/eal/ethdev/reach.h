// SPDX-License-Identifier: BSD-3-Clause
// Whether a device can read a segment where its mbuf says it is. A few pieces of memory that were
// found to be within reach are remembered, so that packets of the usual pools cost some compares. What is
// remembered of a mapping is forgotten when lookups do not find that mapping any more, whatever else the
// domain maps and unmaps. One thread at a time.
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

#include "eal/domain/handle.h"

namespace iovad::eal {

class Reach {
public:
	// Of the domain's devices, in the process that created it. Forgets all.
	void begin(iovad_domain &d);
	// Before each burst.
	void begin_burst()
	{
		// Also those that could not be unmapped: whose memory they lead to nobody knows.
		const uint64_t now = domain_->mappings->removals();
		if (now != removals_) [[unlikely]]
			forget_removed(now);
	}
	bool holds(const rte_mbuf &packet)
	{
		for (const rte_mbuf *segment = &packet; segment; segment = segment->next) {
			if (!last_.holds(*segment) && segment->data_len != 0 && !find(*segment))
				return false;
		}
		return true;
	}
	bool holds_segment(const rte_mbuf &segment) { return last_.holds(segment) || find(segment); }

private:
	struct Span {
		uint64_t va = 0, len = 0;
		uint64_t to_iova = 0;               // added to virtual addresses, modulo 2^64
		core::MappingTable::Name name = 0;  // of its mapping; 0: EAL's memory, which mbufs do not outlive

		bool holds(const rte_mbuf &segment) const
		{
			const uint64_t offset = data_of(segment) - va;
			return offset < len && segment.data_len <= len - offset && to_iova_of(segment) == to_iova;
		}
	};
	static uint64_t data_of(const rte_mbuf &m)
	{
		return reinterpret_cast<uint64_t>(m.buf_addr) + m.data_off;
	}
	static uint64_t to_iova_of(const rte_mbuf &m)
	{
		return rte_mbuf_iova_get(&m) - reinterpret_cast<uint64_t>(m.buf_addr);
	}

	bool find(const rte_mbuf &segment);
	bool look_up(const rte_mbuf &segment, Span &out) const;
	bool mapped_by_eal(const rte_mbuf &segment, Span &out) const;
	void forget_removed(uint64_t removals);

	static constexpr unsigned kSpans = 4;

	iovad_domain *domain_ = nullptr;
	uint64_t removals_ = 0;  // of mappings, when the spans were known to be mapped
	Span last_;
	Span spans_[kSpans];
	unsigned next_ = 0;  // to be replaced
};

}  // namespace iovad::eal
