// SPDX-License-Identifier: BSD-3-Clause
#include "model_oracle.h"

#include <algorithm>

namespace iovad::test {

std::optional<uint64_t> Oracle::highest(uint64_t size, uint64_t align, uint64_t end) const
{
	const auto fit = [&](uint64_t low, uint64_t high) -> std::optional<uint64_t> {
		high = std::min(high, end);
		if (high < size)
			return std::nullopt;
		const uint64_t start = (high - size) & ~(align - 1);
		return start >= low ? std::optional(start) : std::nullopt;
	};
	uint64_t top = end_;
	for (auto it = ranges_.rbegin(); it != ranges_.rend(); ++it) {
		if (const auto start = fit(it->second.end, top))
			return start;
		top = it->first;
	}
	return fit(first_, top);
}

const Oracle::Range *Oracle::overlap(uint64_t start, uint64_t end) const
{
	auto it = ranges_.upper_bound(start);
	if (it != ranges_.begin() && std::prev(it)->second.end > start)
		--it;
	return it != ranges_.end() && it->first < end ? &it->second : nullptr;
}

void Oracle::take(uint64_t start, uint64_t end)
{
	ranges_[start] = {start, end, false};
	++live_ranges_;
	live_ += end - start;
}

void Oracle::give_back(uint64_t start)
{
	const auto it = ranges_.find(start);
	--live_ranges_;
	live_ -= it->second.end - start;
	ranges_.erase(it);
}

void Oracle::insert_reserved(uint64_t start, uint64_t end)
{
	if (start < end) {
		ranges_[start] = {start, end, true};
		reserved_ += end - start;
	}
}

bool Oracle::reserve(uint64_t start, uint64_t end)
{
	// From the first that overlaps or touches.
	auto begin = ranges_.lower_bound(start);
	if (begin != ranges_.begin() && std::prev(begin)->second.end >= start)
		--begin;
	for (auto it = begin; it != ranges_.end() && it->first < end; ++it) {
		if (!it->second.reserved && it->second.end > start)
			return false;
	}
	uint64_t low = start, high = end;
	for (auto it = begin; it != ranges_.end() && it->first <= end;) {
		const Range r = it->second;
		if (!r.reserved) {
			++it;
			continue;
		}
		low = std::min(low, r.start);
		high = std::max(high, r.end);
		reserved_ -= r.end - r.start;
		it = ranges_.erase(it);
	}
	insert_reserved(low, high);
	return true;
}

bool Oracle::unreserve(uint64_t start, uint64_t end)
{
	const Range *r = overlap(start, end);
	if (!r || !r->reserved || r->start > start || r->end < end)
		return false;
	const Range whole = *r;
	reserved_ -= whole.end - whole.start;
	ranges_.erase(whole.start);
	insert_reserved(whole.start, start);
	insert_reserved(end, whole.end);
	return true;
}

}  // namespace iovad::test
