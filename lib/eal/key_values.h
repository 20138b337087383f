// SPDX-License-Identifier: BSD-3-Clause
// What settings of drivers, key=value[,key=value...], are checked for before and beyond rte_kvargs.
#pragma once

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace iovad::eal {

// rte_kvargs is not so strict: of "a=b=c" it makes b=c, and it keeps commas in brackets, for lists.
inline bool are_key_values(const char *text)
{
	if (std::strpbrk(text, "[]"))
		return false;
	for (;;) {
		const size_t length = std::strcspn(text, ",");
		if (std::count(text, text + length, '=') != 1)
			return false;
		if (!text[length])
			return true;
		text += length + 1;
	}
}

// Not what strtoull() also takes: signs and spaces.
inline bool parse_number(const char *text, uint64_t &out)
{
	char *end;
	errno = 0;
	out = std::strtoull(text, &end, 0);
	return errno == 0 && !*end && std::isdigit(static_cast<unsigned char>(*text));
}

}  // namespace iovad::eal
