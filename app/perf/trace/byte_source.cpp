// SPDX-License-Identifier: BSD-3-Clause
#include "trace/byte_source.h"

#include <fcntl.h>
#include <lzma.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "errors.h"
#include "text.h"

namespace iovad::perf {
namespace {

constexpr std::array<unsigned char, 6> kXzMagic = {0xfd, '7', 'z', 'X', 'Z', 0x00};
constexpr size_t kInputBytes = 256 * 1024;

class Descriptor {
public:
	explicit Descriptor(const std::string &path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC))
	{
		if (fd_ < 0)
			throw UsageError(format("%s: cannot open: %s", path.c_str(), strerror(errno)));
	}
	~Descriptor() { close(fd_); }
	Descriptor(const Descriptor &) = delete;
	Descriptor &operator=(const Descriptor &) = delete;

	size_t read(void *out, size_t size)
	{
		ssize_t got;
		do
			got = ::read(fd_, out, size);
		while (got < 0 && errno == EINTR);
		if (got < 0)
			throw UsageError(format("cannot read: %s", strerror(errno)));
		return static_cast<size_t>(got);
	}

private:
	int fd_;
};

// The file as it is. Its first bytes can be looked at before they are read.
class PlainSource : public ByteSource {
public:
	explicit PlainSource(const std::string &path) : file_(path), buffer_(kInputBytes, '\0')
	{
		while (filled_ < kXzMagic.size()) {
			const size_t got =
				file_.read(buffer_.data() + filled_, buffer_.size() - filled_);
			if (got == 0)
				break;
			filled_ += got;
		}
	}

	bool empty() const { return filled_ == 0; }

	bool looks_like_xz() const
	{
		return filled_ >= kXzMagic.size() &&
		       std::memcmp(buffer_.data(), kXzMagic.data(), kXzMagic.size()) == 0;
	}

	size_t read(char *out, size_t size) override
	{
		size_t got = std::min(size, filled_ - taken_);
		if (got != 0) {
			std::memcpy(out, buffer_.data() + taken_, got);
			taken_ += got;
		} else {
			got = file_.read(out, size);
		}
		consumed_ += got;
		return got;
	}

	uint64_t consumed() const override { return consumed_; }

private:
	Descriptor file_;
	std::string buffer_;
	size_t filled_ = 0;
	size_t taken_ = 0;
	uint64_t consumed_ = 0;
};

class XzSource : public ByteSource {
public:
	explicit XzSource(std::unique_ptr<PlainSource> file)
		: file_(std::move(file)), input_(kInputBytes, '\0')
	{
		const lzma_ret ret = lzma_stream_decoder(&stream_, UINT64_MAX, LZMA_CONCATENATED);
		if (ret != LZMA_OK)
			throw UsageError("no memory for the xz decoder");
	}
	~XzSource() override { lzma_end(&stream_); }

	size_t read(char *out, size_t size) override
	{
		stream_.next_out = reinterpret_cast<uint8_t *>(out);
		stream_.avail_out = size;
		while (stream_.avail_out == size && state_ == LZMA_OK) {
			if (stream_.avail_in == 0 && !drained_)
				refill();
			state_ = lzma_code(&stream_, drained_ ? LZMA_FINISH : LZMA_RUN);
		}
		// A call may decode the last good bytes and find the error behind them: bytes first, so
		// that the error is put on the right line.
		const size_t got = size - stream_.avail_out;
		if (got == 0 && state_ != LZMA_STREAM_END)
			fail();
		return got;
	}

	uint64_t consumed() const override { return file_->consumed(); }

private:
	void refill()
	{
		stream_.avail_in = file_->read(input_.data(), input_.size());
		stream_.next_in = reinterpret_cast<const uint8_t *>(input_.data());
		drained_ = stream_.avail_in == 0;
	}

	[[noreturn]] void fail() const
	{
		switch (state_) {
		case LZMA_BUF_ERROR:  // with LZMA_FINISH: it wants more, and there is no more
			throw UsageError("the xz data is cut off");
		case LZMA_MEM_ERROR:
			throw UsageError("no memory to decompress the xz data");
		case LZMA_OPTIONS_ERROR:
			throw UsageError("the xz data uses a feature that this liblzma lacks");
		default:
			throw UsageError("the xz data is corrupt");
		}
	}

	std::unique_ptr<PlainSource> file_;
	std::string input_;
	lzma_stream stream_ = LZMA_STREAM_INIT;
	bool drained_ = false;  // nothing left in the file
	lzma_ret state_ = LZMA_OK;
};

}  // namespace

std::unique_ptr<ByteSource> open_bytes(const std::string &path)
{
	auto file = std::make_unique<PlainSource>(path);
	if (file->looks_like_xz())
		return std::make_unique<XzSource>(std::move(file));
	if (has_suffix(path, ".xz") && !file->empty())
		throw UsageError(path + ":1: the name says xz, the data does not");
	return file;
}

uint64_t file_bytes(const std::string &path)
{
	struct stat info;
	if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode))
		return 0;
	return static_cast<uint64_t>(info.st_size);
}

}  // namespace iovad::perf
