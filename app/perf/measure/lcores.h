// SPDX-License-Identifier: BSD-3-Clause
// The same work on several lcores at once, under a watchdog.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace iovad::perf {

struct LcoreWork {
	// index: of the lcore in the list. Must not throw.
	std::function<void(size_t index)> run;
	// Any figure that changes as long as calls come to an end.
	std::function<uint64_t()> progress;
	// Says on stderr where the lcores are.
	std::function<void()> say_where;
};

// Called on the main lcore; returns when all have ended. They begin together, or the first would be
// measured alone. Launching orders what was done before it before the work, and the work before what
// follows. Where a call into the library hangs, says where and ends the process with kExitWrong.
// Throws UsageError where an lcore cannot be launched.
void run_on_lcores(const std::vector<unsigned> &lcores, const LcoreWork &work);

}  // namespace iovad::perf
