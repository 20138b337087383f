// SPDX-License-Identifier: BSD-3-Clause
#include "report/table.h"

#include "text.h"

namespace iovad::perf {

void row(FILE *out, const char *name, const std::string &figure, const std::string &remark)
{
	const std::string tail = remark.empty() ? "" : "   " + remark;
	fprintf(out, "  %-18s %14s%s\n", name, figure.c_str(), tail.c_str());
}

void row(FILE *out, const char *name, uint64_t figure, const std::string &remark)
{
	row(out, name, grouped(figure), remark);
}

std::string percent(double share)
{
	return format("%.2f %%", 100 * share);
}

std::string rate(double per_second)
{
	if (per_second >= 1e6)
		return format("%.2f M/s", per_second / 1e6);
	return format("%.1f k/s", per_second / 1e3);
}

std::string one_in(double share)
{
	return share > 0 && share < 0.5 ? format("1/%.1f", 1 / share) : format("%.3g", share);
}

std::string listed(const std::vector<unsigned> &numbers)
{
	std::string list;
	for (const unsigned n : numbers)
		list += (list.empty() ? "" : ", ") + std::to_string(n);
	return list;
}

}  // namespace iovad::perf
