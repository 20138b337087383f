// SPDX-License-Identifier: BSD-3-Clause
// What a function prints to a file, as a string.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace iovad::perf::test {

template <typename Write> std::string printed(Write write)
{
	char *text = nullptr;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	write(out);
	fclose(out);
	const std::string result(text, size);
	free(text);
	return result;
}

}  // namespace iovad::perf::test
