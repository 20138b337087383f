// SPDX-License-Identifier: BSD-3-Clause
// Numbers on the command line.
#pragma once

#include <string_view>

namespace iovad::perf {

// min to max; anything else is a UsageError that names the option.
unsigned parse_count(const char *name, std::string_view text, unsigned max, unsigned min = 1);

}  // namespace iovad::perf
