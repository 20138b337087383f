// SPDX-License-Identifier: BSD-3-Clause
// This program run again, for what a program does once: start EAL in some way, and end.
#pragma once

#include <string>

namespace iovad::test {

// With that one argument. Its status as of waitpid(2), 0: it ended well.
int run_again(const std::string &argument);

// EAL on one CPU with memory of its own, without huge pages.
bool start_small_eal(const std::string &more = "--no-telemetry");

}  // namespace iovad::test
