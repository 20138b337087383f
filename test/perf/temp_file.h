// SPDX-License-Identifier: BSD-3-Clause
// Files for tests: made with a content, gone with the object.
#pragma once

#include <gtest/gtest.h>
#include <lzma.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace iovad::perf::test {

class TempFile {
public:
	explicit TempFile(const std::string &content, const std::string &suffix = ".txt")
	{
		std::string pattern = testing::TempDir() + "iovad-perf-XXXXXX" + suffix;
		const int fd = mkstemps(pattern.data(), static_cast<int>(suffix.size()));
		EXPECT_GE(fd, 0);
		close(fd);
		path_ = pattern;
		std::ofstream(path_, std::ios::binary) << content;
	}
	~TempFile() { unlink(path_.c_str()); }
	TempFile(const TempFile &) = delete;
	TempFile &operator=(const TempFile &) = delete;

	const std::string &path() const { return path_; }

private:
	std::string path_;
};

inline std::string content_of(const std::string &path)
{
	std::ifstream file(path, std::ios::binary);
	EXPECT_TRUE(file.good()) << path;
	std::ostringstream content;
	content << file.rdbuf();
	return content.str();
}

// All in one call, so that it shares nothing with the streaming decoder under test.
inline std::string unpacked(const std::string &xz)
{
	std::string out(64 * 1024 * 1024, '\0');
	uint64_t limit = UINT64_MAX;
	size_t in_at = 0, out_at = 0;
	EXPECT_EQ(LZMA_OK,
		  lzma_stream_buffer_decode(
			  &limit, 0, nullptr, reinterpret_cast<const uint8_t *>(xz.data()), &in_at,
			  xz.size(), reinterpret_cast<uint8_t *>(out.data()), &out_at, out.size()));
	out.resize(out_at);
	return out;
}

inline std::string packed(const std::string &text)
{
	std::string out(lzma_stream_buffer_bound(text.size()), '\0');
	size_t at = 0;
	EXPECT_EQ(LZMA_OK,
		  lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, nullptr,
					  reinterpret_cast<const uint8_t *>(text.data()), text.size(),
					  reinterpret_cast<uint8_t *>(out.data()), &at, out.size()));
	out.resize(at);
	return out;
}

inline std::string trace_path(const char *name)
{
	return IOVAD_TEST_TRACES "/" + std::string(name);
}

}  // namespace iovad::perf::test
