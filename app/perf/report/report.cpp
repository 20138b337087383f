// SPDX-License-Identifier: BSD-3-Clause
#include "report/report.h"

#include <algorithm>
#include <numeric>

namespace iovad::perf {

Spread spread_of(std::vector<double> values)
{
	if (values.empty())
		return {};
	std::sort(values.begin(), values.end());
	const size_t middle = values.size() / 2;
	const double median =
		values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
	return {median, values.front(), values.back()};
}

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
