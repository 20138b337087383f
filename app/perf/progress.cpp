// SPDX-License-Identifier: BSD-3-Clause
#include "progress.h"

#include <unistd.h>

#include <cstdio>

namespace iovad::perf {

using namespace std::chrono_literals;

Progress::Progress(Mode mode)
	: silent_(mode == Mode::silent), terminal_(!silent_ && isatty(STDERR_FILENO) == 1)
{
}

bool Progress::due()
{
	return terminal_ && std::chrono::steady_clock::now() - last_ >= 80ms;
}

void Progress::update(const std::string &text)
{
	if (!terminal_)
		return;
	erase();
	fprintf(stderr, "%s", text.c_str());
	fflush(stderr);
	shown_ = true;
	last_ = std::chrono::steady_clock::now();
}

void Progress::done(const std::string &text)
{
	erase();
	if (!silent_)
		fprintf(stderr, "iovad-perf: %s\n", text.c_str());
}

void Progress::erase()
{
	if (shown_)
		fprintf(stderr, "\r\033[K");
	shown_ = false;
}

}  // namespace iovad::perf
