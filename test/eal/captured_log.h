// SPDX-License-Identifier: BSD-3-Clause
// What is logged while one exists, for a test to read.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include <rte_log.h>

namespace iovad::test {

class Log {
public:
	Log()
	{
		stream_ = open_memstream(&text_, &bytes_);
		rte_openlog_stream(stream_);
	}
	~Log()
	{
		rte_openlog_stream(nullptr);
		std::fclose(stream_);
		std::free(text_);
	}
	std::string text()
	{
		std::fflush(stream_);
		return std::string(text_, bytes_);
	}

private:
	char *text_ = nullptr;
	size_t bytes_ = 0;
	FILE *stream_;
};

}  // namespace iovad::test
