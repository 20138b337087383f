// SPDX-License-Identifier: BSD-3-Clause
// printf into a string (std::format is not in every C++20 library yet) and numbers for people.
#pragma once

#include <cstdint>
#include <string>

namespace iovad::perf {

[[gnu::format(printf, 1, 2)]] std::string format(const char *fmt, ...);

std::string grouped(uint64_t n);        // 1234567 -> "1 234 567"
std::string human_bytes(double bytes);  // 1536 -> "1.5 KiB"
std::string base_name(const std::string &path);
bool has_suffix(const std::string &s, const char *suffix);

}  // namespace iovad::perf
