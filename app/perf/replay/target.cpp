// SPDX-License-Identifier: BSD-3-Clause
#include "replay/target.h"

namespace iovad::perf {

Target::Target(const Plan &plan, iovad_domain *domain, bool maps) : plan_(plan), domain_(domain)
{
	if (!maps)
		return;
	uint64_t bytes = 0;
	for (uint32_t slot = 0; slot < plan.slots.size(); slot++) {
		offsets_.push_back(bytes);
		bytes += len_of(slot);
	}
	memory_.emplace(bytes, Memory::Fill::reserved);
}

}  // namespace iovad::perf
