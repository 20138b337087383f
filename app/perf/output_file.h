// SPDX-License-Identifier: BSD-3-Clause
// A file to be written at the end of a run, opened before it, so that the run is not lost to a
// mistyped path. Until finish() nothing has happened: what the file held is still there, and one
// that did not exist is gone again.
#pragma once

#include <cstdio>
#include <functional>
#include <string>

namespace iovad::perf {

class OutputFile {
public:
	// Throws UsageError where the file cannot be written.
	explicit OutputFile(const std::string &path);
	~OutputFile();
	OutputFile(const OutputFile &) = delete;
	OutputFile &operator=(const OutputFile &) = delete;

	// Replaces the content by what write prints. Throws UsageError where not all of it arrived (a
	// full disk).
	void finish(const std::function<void(FILE *)> &write);

private:
	std::string path_;
	int fd_ = -1;
	bool created_ = false;
};

// Whether both paths name one file; false where either does not exist.
bool same_file(const std::string &a, const std::string &b);

}  // namespace iovad::perf
