// SPDX-License-Identifier: BSD-3-Clause
#include "text.h"

#include <cstdarg>
#include <cstdio>
#include <string_view>

namespace iovad::perf {

std::string format(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	va_list again;
	va_copy(again, args);
	const int length = vsnprintf(nullptr, 0, fmt, args);
	va_end(args);
	std::string out(length > 0 ? static_cast<size_t>(length) : 0, '\0');
	vsnprintf(out.data(), out.size() + 1, fmt, again);
	va_end(again);
	return out;
}

std::string grouped(uint64_t n)
{
	std::string out = std::to_string(n);
	for (size_t at = out.size(); at > 3; at -= 3)
		out.insert(at - 3, 1, ' ');
	return out;
}

std::string human_bytes(double bytes)
{
	static constexpr const char *kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;
	while (bytes >= 1024 && unit + 1 < std::size(kUnits)) {
		bytes /= 1024;
		unit++;
	}
	std::string out = format(unit == 0 ? "%.0f" : "%.2f", bytes);
	if (out.find('.') != std::string::npos) {
		out.erase(out.find_last_not_of('0') + 1);
		if (out.back() == '.')
			out.pop_back();
	}
	return out + " " + kUnits[unit];
}

std::string base_name(const std::string &path)
{
	return path.substr(path.find_last_of('/') + 1);
}

bool has_suffix(const std::string &s, const char *suffix)
{
	const std::string_view tail(suffix);
	return s.size() >= tail.size() && std::string_view(s).substr(s.size() - tail.size()) == tail;
}

}  // namespace iovad::perf
