// SPDX-License-Identifier: BSD-3-Clause
// A few spans of granules in a fixed array: disjoint, and none touches another. A plain
// struct. All is looked at each time, which is for what happens rarely.
#pragma once

#include <algorithm>

#include "core/range_tree/node.h"

namespace iovad::core {

struct Span {
	Pfn start, end;

	friend bool operator==(const Span &, const Span &) = default;
	bool holds(Pfn pfn) const { return start <= pfn && pfn < end; }
	bool overlaps(const Span &s) const { return start < s.end && s.start < end; }
	bool touches(const Span &s) const { return end == s.start || s.end == start; }
};

class SpanList {
public:
	static constexpr unsigned kMost = 31;  // so that all is no more than a node: see Journal

	bool empty() const { return count_ == 0; }
	unsigned size() const { return count_; }
	const Span *begin() const { return span_; }
	const Span *end() const { return span_ + count_; }

	uint64_t granules() const
	{
		uint64_t sum = 0;
		for (const Span &s : *this)
			sum += s.end - s.start;
		return sum;
	}
	bool overlaps(const Span &span) const
	{
		return std::any_of(begin(), end(), [&](const Span &s) { return s.overlaps(span); });
	}

	// The span and what it touches, as one.
	Span joined(Span span) const
	{
		Span all = span;
		for (const Span &s : *this) {
			if (s.touches(span))
				all = {std::min(all.start, s.start), std::max(all.end, s.end)};
		}
		return all;
	}
	// It overlaps none. False: no room.
	bool add(const Span &span)
	{
		const Span all = joined(span);
		if (all == span && count_ == kMost)
			return false;
		cut(all);
		span_[count_++] = all;
		return true;
	}

	// Whether there is room for what cut() leaves of the list.
	bool can_cut(const Span &span) const
	{
		return count_ < kMost || std::none_of(begin(), end(), [&](const Span &s) { return splits(span, s); });
	}
	// Take the span out of all that overlap it.
	void cut(const Span &span)
	{
		for (unsigned i = 0; i < count_;) {
			Span &s = span_[i];
			if (splits(span, s)) {
				span_[count_++] = {span.end, s.end};
				s.end = span.start;
				return;
			}
			if (s.overlaps(span)) {
				if (s.start < span.start)
					s.end = span.start;
				else
					s.start = std::min(span.end, s.end);
			}
			if (s.start == s.end)
				s = span_[--count_];
			else
				++i;
		}
	}

private:
	static bool splits(const Span &span, const Span &s) { return s.start < span.start && span.end < s.end; }

	unsigned count_ = 0;
	Span span_[kMost];
};

static_assert(sizeof(SpanList) <= kNodeBytes);

}  // namespace iovad::core
