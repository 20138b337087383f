// SPDX-License-Identifier: BSD-3-Clause
// How far it is, on stderr. On a terminal one line that is rewritten in place; elsewhere only whole
// lines, one per finished step.
#pragma once

#include <chrono>
#include <string>

namespace iovad::perf {

class Progress {
public:
	enum class Mode { automatic, silent };
	explicit Progress(Mode mode = Mode::automatic);
	~Progress() { erase(); }
	Progress(const Progress &) = delete;
	Progress &operator=(const Progress &) = delete;

	// Whether an update would be seen; so that its text need not be made.
	bool due();
	void update(const std::string &text);
	void done(const std::string &text);

private:
	void erase();

	bool silent_;
	bool terminal_;
	bool shown_ = false;
	std::chrono::steady_clock::time_point last_ = {};
};

}  // namespace iovad::perf
