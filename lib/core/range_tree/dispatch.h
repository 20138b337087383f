// SPDX-License-Identifier: BSD-3-Clause
// The operations of the tree as compiled for one instruction set. The whole operation
// is behind the pointer, not the node kernels: one indirect call, everything inlined
// below it. The table is per process; trees in shared memory hold no pointer to code.
#pragma once

#include "core/range_tree/range_tree.h"

namespace iovad::core {

struct TreeCode {
	Placement (*alloc)(RangeTree &, uint64_t size, uint64_t align, Pfn limit, Value value);
	Status (*claim)(RangeTree &, Pfn start, Pfn end, Value value);
	Status (*erase)(RangeTree &, Pfn start, Pfn end, Value value);
	Extent (*find)(const RangeTree &, Pfn pfn);
};

extern const TreeCode kPortableCode;
#ifdef IOVAD_HAVE_X86_KERNELS
extern const TreeCode kAvx2Code;
extern const TreeCode kAvx512Code;
#endif

}  // namespace iovad::core
