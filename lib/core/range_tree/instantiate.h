// SPDX-License-Identifier: BSD-3-Clause
// Makes the TreeCode of one set of kernels. For code_*.cpp only.
#pragma once

#include "core/range_tree/dispatch.h"
#include "core/range_tree/giving_back.h"
#include "core/range_tree/taking.h"

namespace iovad::core {

template <class Kernels> constexpr TreeCode tree_code()
{
	return {
		[](RangeTree &t, uint64_t size, uint64_t align, Pfn limit, Value value) {
			return Taking<Kernels>{t}.alloc(size, align, limit, value);
		},
		[](RangeTree &t, Pfn start, Pfn end, Value value) {
			return Taking<Kernels>{t}.claim(start, end, value);
		},
		[](RangeTree &t, Pfn start, Pfn end, Value value) {
			return GivingBack<Kernels>{t}.erase(start, end, value);
		},
		[](const RangeTree &t, Pfn pfn) {
			Path path;
			const unsigned i = Descent<Kernels>{t}.locate(pfn, path);
			return Extent{path.leaf->start_of(i), path.leaf->end_of(i), path.leaf->value(i)};
		},
	};
}

}  // namespace iovad::core
