// SPDX-License-Identifier: BSD-3-Clause
#include "measure/call_times.h"

#include <algorithm>

namespace iovad::perf {

CallTimes times_of(const Histogram &ticks, double ticks_per_second)
{
	const auto ns = [=](double n) { return n * 1e9 / ticks_per_second; };
	const auto at = [&](unsigned per_10000) { return ns(double(ticks.percentile(per_10000))); };
	CallTimes times;
	times.calls = ticks.count();
	times.mean = ns(ticks.mean());
	times.p50 = at(5000);
	times.p90 = at(9000);
	times.p99 = at(9900);
	times.p999 = at(9990);
	times.p9999 = at(9999);
	times.max = ns(double(ticks.max()));
	return times;
}

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

}  // namespace iovad::perf
