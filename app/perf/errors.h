// SPDX-License-Identifier: BSD-3-Clause
// What makes iovad-perf stop, and its exit status. Thrown and caught on the main thread only: code
// that runs on lcores is noexcept and reports by value.
#pragma once

#include <stdexcept>

namespace iovad::perf {

enum ExitCode : int {
	kExitOk = 0,
	kExitWrong = 1,  // the run was complete and what it found is wrong; or a RunError
	kExitUsage = 2,  // bad arguments, input, output files or environment: nothing was judged
};

// Anything that ends in kExitUsage. what() is one line that names the culprit.
class UsageError : public std::runtime_error {
public:
	using std::runtime_error::runtime_error;
};

// For sub-commands that judge nothing, and keep kExitUsage for arguments: the machine does not let
// them do their work. Ends in kExitWrong; what() is one line that says what to do, or why not.
class RunError : public std::runtime_error {
public:
	using std::runtime_error::runtime_error;
};

}  // namespace iovad::perf
