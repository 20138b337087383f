// SPDX-License-Identifier: BSD-3-Clause
#include "report/report.h"

#include <numeric>

namespace iovad::perf {

uint64_t Report::violations() const
{
	return std::accumulate(found.begin(), found.end(), leaks + accounting);
}

double Report::tree_fragmentation() const
{
	return domain.free_bytes == 0
		       ? 0
		       : 1 - double(domain.largest_gap_bytes) / double(domain.free_bytes);
}

}  // namespace iovad::perf
