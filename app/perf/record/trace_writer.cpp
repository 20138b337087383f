// SPDX-License-Identifier: BSD-3-Clause
#include "record/trace_writer.h"

#include <fcntl.h>
#include <lzma.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <tuple>
#include <utility>

#include "errors.h"
#include "text.h"
#include "trace/trace_line.h"

namespace iovad::perf {
namespace {

// 70 MB of ftrace text per second of a slow cpu; the presets above it are much slower and hardly
// smaller.
constexpr uint32_t kXzPreset = 1;

std::string compressed(const std::string &text)
{
	std::string out(lzma_stream_buffer_bound(text.size()), '\0');
	size_t size = 0;
	const lzma_ret ret = lzma_easy_buffer_encode(
		kXzPreset, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const uint8_t *>(text.data()),
		text.size(), reinterpret_cast<uint8_t *>(out.data()), &size, out.size());
	if (ret == LZMA_MEM_ERROR)
		throw RunError("no memory to compress");
	if (ret != LZMA_OK)
		throw RunError(format("cannot compress (liblzma: %d)", static_cast<int>(ret)));
	out.resize(size);
	return out;
}

// 0 or errno; written: how far it came.
int write_bytes(int fd, const std::string &bytes, size_t &written)
{
	while (written < bytes.size()) {
		const ssize_t put = write(fd, bytes.data() + written, bytes.size() - written);
		if (put < 0 && errno != EINTR)
			return errno;
		if (put > 0)
			written += static_cast<size_t>(put);
	}
	return 0;
}

}  // namespace

TraceWriter::TraceWriter(const std::string &path, size_t xz_unit_bytes)
	: path_(path), xz_(has_suffix(path, ".xz")), xz_unit_bytes_(xz_unit_bytes)
{
	fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	created_ = fd_ >= 0;
	if (!created_ && errno == EEXIST)
		fd_ = open(path.c_str(), O_WRONLY | O_CLOEXEC);
	if (fd_ < 0)
		throw RunError(format("%s: cannot write: %s", path.c_str(), strerror(errno)));
	struct stat info;
	regular_ = fstat(fd_, &info) == 0 && S_ISREG(info.st_mode);
}

TraceWriter::~TraceWriter()
{
	end_thread();
	if (fd_ >= 0)
		close(fd_);
	if (created_ && good_bytes_ == 0)
		unlink(path_.c_str());
}

void TraceWriter::push(std::string text, uint64_t events)
{
	if (!thread_.joinable())
		thread_ = std::thread(&TraceWriter::write_all, this);
	std::unique_lock lock(mutex_);
	changed_.wait(lock, [&] { return queued_bytes_ < kQueueBytes || !error_.empty(); });
	queued_bytes_ += text.size();
	queue_.push_back({std::move(text), events});
	changed_.notify_all();
}

bool TraceWriter::failed() const
{
	const std::lock_guard lock(mutex_);
	return !error_.empty();
}

void TraceWriter::finish()
{
	end_thread();
	// A network's file system may have kept its errors until now.
	if (close(std::exchange(fd_, -1)) != 0 && error_.empty())
		throw RunError(format("%s: cannot write: %s", path_.c_str(), strerror(errno)));
	if (error_.empty())
		return;
	const std::string kept = good_bytes_ == 0
					 ? "nothing was recorded"
					 : format("it ends after %s events", grouped(good_events_).c_str());
	throw RunError(format("%s: cannot write: %s; %s", path_.c_str(), error_.c_str(), kept.c_str()));
}

void TraceWriter::end_thread()
{
	if (!thread_.joinable())
		return;
	{
		const std::lock_guard lock(mutex_);
		ended_ = true;
		changed_.notify_all();
	}
	thread_.join();
}

// The thread.
void TraceWriter::write_all()
{
	Portion unit;  // what one xz stream will hold
	std::unique_lock lock(mutex_);
	for (;;) {
		changed_.wait(lock, [&] { return !queue_.empty() || ended_; });
		const bool last = queue_.empty();
		if (!last) {
			Portion next = std::move(queue_.front());
			queue_.pop_front();
			queued_bytes_ -= next.text.size();
			changed_.notify_all();
			unit.events += next.events;
			if (unit.text.empty())
				unit.text = std::move(next.text);
			else
				unit.text += next.text;
		}
		lock.unlock();
		std::string error;
		if (!unit.text.empty() && (last || !xz_ || unit.text.size() >= xz_unit_bytes_)) {
			try {
				write_portion(unit);
			} catch (const std::exception &caught) {
				error = caught.what();
			}
		}
		lock.lock();
		if (!error.empty()) {
			error_ = error;
			changed_.notify_all();
		}
		if (last || !error.empty())
			return;
	}
}

void TraceWriter::write_portion(Portion &portion)
{
	if (good_bytes_ == 0 && regular_ && ftruncate(fd_, 0) != 0)
		throw RunError(strerror(errno));
	const std::string bytes = xz_ ? compressed(portion.text) : std::move(portion.text);
	size_t written = 0;
	if (const int error = write_bytes(fd_, bytes, written)) {
		if (!xz_)
			keep_lines(std::string_view(bytes).substr(0, written));
		// Where even this fails, reading the file says that it is cut off.
		if (regular_)
			std::ignore = ftruncate(fd_, static_cast<off_t>(good_bytes_));
		throw RunError(strerror(error));
	}
	good_bytes_ += bytes.size();
	good_events_ += portion.events;
	portion = {};
}

// Of the beginning of a portion the whole lines, if there is an event among them.
void TraceWriter::keep_lines(std::string_view written)
{
	uint64_t events = 0;
	size_t kept = 0;
	for (size_t end; (end = written.find('\n', kept)) != std::string_view::npos; kept = end + 1)
		events += parse_line(written.substr(kept, end - kept)).kind == LineKind::event;
	if (events != 0)
		good_bytes_ += kept;
	good_events_ += events;
}

}  // namespace iovad::perf
