// SPDX-License-Identifier: BSD-3-Clause
#include "parse_count.h"

#include <charconv>

#include "errors.h"
#include "text.h"

namespace iovad::perf {

unsigned parse_count(const char *name, std::string_view text, unsigned max, unsigned min)
{
	unsigned value = 0;
	const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
	if (error != std::errc() || end != text.data() + text.size() || value < min || value > max)
		throw UsageError(format("%s takes a number from %u to %u, not '%.*s'", name, min, max,
					static_cast<int>(text.size()), text.data()));
	return value;
}

}  // namespace iovad::perf
