// SPDX-License-Identifier: BSD-3-Clause
// What the tables for people are made of.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace iovad::perf {

// A row: name, figure, and what it means or is made of. Aligned by hand-set widths, because the
// columns of one section shall stand under those of the other.
void row(FILE *out, const char *name, const std::string &figure, const std::string &remark = "");
void row(FILE *out, const char *name, uint64_t figure, const std::string &remark = "");

std::string percent(double share);
std::string rate(double per_second);
std::string one_in(double share);  // 0.025 -> "1/40"; from 1/2 on as it is
std::string listed(const std::vector<unsigned> &numbers);

}  // namespace iovad::perf
