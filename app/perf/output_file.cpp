// SPDX-License-Identifier: BSD-3-Clause
#include "output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "errors.h"
#include "text.h"

namespace iovad::perf {
namespace {

[[noreturn]] void fail(const std::string &path, int error)
{
	throw UsageError(format("%s: cannot write: %s", path.c_str(), strerror(error)));
}

}  // namespace

OutputFile::OutputFile(const std::string &path) : path_(path)
{
	fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	created_ = fd_ >= 0;
	if (!created_ && errno == EEXIST)
		fd_ = open(path.c_str(), O_WRONLY | O_CLOEXEC);
	if (fd_ < 0)
		fail(path, errno);
}

OutputFile::~OutputFile()
{
	if (fd_ < 0)
		return;
	close(fd_);
	if (created_)
		unlink(path_.c_str());
}

void OutputFile::finish(const std::function<void(FILE *)> &write)
{
	struct stat info;
	const bool regular = fstat(fd_, &info) == 0 && S_ISREG(info.st_mode);
	if (regular && ftruncate(fd_, 0) != 0)
		fail(path_, errno);
	FILE *stream = fdopen(fd_, "w");
	if (stream == nullptr)
		fail(path_, errno);
	fd_ = -1;
	write(stream);
	errno = 0;
	const bool written = fflush(stream) == 0 && ferror(stream) == 0;
	const int error = errno != 0 ? errno : EIO;
	if (fclose(stream) != 0 || !written)
		fail(path_, error);
}

bool same_file(const std::string &a, const std::string &b)
{
	struct stat one, other;
	return stat(a.c_str(), &one) == 0 && stat(b.c_str(), &other) == 0 &&
	       one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

}  // namespace iovad::perf
