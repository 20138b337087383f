// SPDX-License-Identifier: BSD-3-Clause
// What is left of an aperture when its holes are cut out.
#pragma once

#include <algorithm>

#include "dma/backend.h"

namespace iovad::dma::soft {

// [0, last] without the holes, which may come in any order and overlap.
inline std::vector<Span> valid_spans(uint64_t last, std::vector<Span> holes)
{
	std::sort(holes.begin(), holes.end(),
		  [](const Span &a, const Span &b) { return a.first < b.first; });
	std::vector<Span> valid;
	uint64_t next = 0;  // nothing below it is left to look at
	for (const Span &hole : holes) {
		if (hole.first > last)
			break;
		if (hole.first > next)
			valid.push_back({next, hole.first - 1});
		if (hole.last >= last)
			return valid;
		next = std::max(next, hole.last + 1);
	}
	valid.push_back({next, last});
	return valid;
}

}  // namespace iovad::dma::soft
