// SPDX-License-Identifier: BSD-3-Clause
// Zero padding, granule by granule: what may be other than zero, and does not come to hold the
// caller's data, is made zero.
#pragma once

#include <algorithm>
#include <cstring>

#include "core/bounce/bounce_chunk.h"

namespace iovad::core {

// data: where data will be in this granule, {0, 0} nowhere. overwrite: nothing is copied there, so that
// it must be zero too.
inline void pad_granule(SlotRecord &r, SlotRecord::Dirty data, bool overwrite)
{
	const auto zero = [memory = r.memory](unsigned from, unsigned to) {
		if (from < to)
			std::memset(memory + from, 0, to - from);
	};
	const SlotRecord::Dirty was = r.dirty;
	if (overwrite) {
		zero(was.from, was.to);
	} else if (was != data) {
		zero(was.from, std::min(was.to, data.from));
		zero(std::max(was.from, data.to), was.to);
	}
	if (was != data)
		r.dirty = data;
}

// n granules of one chunk; data lies in [begin, end), in bytes from the first one's first.
inline void pad_granules(SlotRecord *r, uint64_t n, uint64_t begin, uint64_t end, bool overwrite)
{
	for (uint64_t i = 0; i < n; ++i) {
		const uint64_t first = i * kBounceGranule;
		const auto in = [first](uint64_t at) {
			return static_cast<uint16_t>(std::clamp(at, first, first + kBounceGranule) - first);
		};
		const SlotRecord::Dirty data = {in(begin), in(end)};
		pad_granule(r[i], data.from < data.to ? data : SlotRecord::Dirty{0, 0}, overwrite);
	}
}

}  // namespace iovad::core
