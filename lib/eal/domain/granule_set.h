// SPDX-License-Identifier: BSD-3-Clause
// A set of granules, as the runs it consists of.
#pragma once

#include <algorithm>
#include <iterator>
#include <map>
#include <vector>

#include "core/range_tree/node.h"

namespace iovad::eal {

struct GranuleRun {
	core::Pfn first, end;
};

class GranuleSet {
public:
	void add(GranuleRun r)
	{
		if (r.first >= r.end)
			return;
		auto next = runs_.lower_bound(r.first);
		if (next != runs_.begin() && std::prev(next)->second >= r.first)
			--next;
		while (next != runs_.end() && next->first <= r.end) {
			r = {std::min(r.first, next->first), std::max(r.end, next->second)};
			next = runs_.erase(next);
		}
		runs_.emplace_hint(next, r.first, r.end);
	}
	void remove(GranuleRun r)
	{
		for (const GranuleRun part : common(r)) {
			const auto run = std::prev(runs_.upper_bound(part.first));
			const GranuleRun whole = {run->first, run->second};
			runs_.erase(run);
			if (whole.first < part.first)
				runs_.emplace(whole.first, part.first);
			if (part.end < whole.end)
				runs_.emplace(part.end, whole.end);
		}
	}
	// What of r is in the set.
	std::vector<GranuleRun> common(GranuleRun r) const
	{
		std::vector<GranuleRun> out;
		auto run = runs_.upper_bound(r.first);
		if (run != runs_.begin() && std::prev(run)->second > r.first)
			--run;
		for (; run != runs_.end() && run->first < r.end; ++run)
			out.push_back({std::max(run->first, r.first), std::min(run->second, r.end)});
		return out;
	}

private:
	std::map<core::Pfn, core::Pfn> runs_;  // first, end; none touch
};

}  // namespace iovad::eal
