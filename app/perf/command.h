// SPDX-License-Identifier: BSD-3-Clause
// A sub-command of iovad-perf. EAL is set up by the sub-command itself, once its own arguments and
// input have proved good: mistakes then show at once, and work on all cores is done before EAL pins
// the main thread to one.
#pragma once

#include <vector>

#include "eal.h"
#include "errors.h"

namespace iovad::perf {

struct Command {
	const char *name;
	const char *summary;  // for the list of sub-commands; null: not in it
	bool uses_eal;        // false: EAL options and -- may be left out
	// argv[0] is the sub-command's name. Throws UsageError.
	ExitCode (*run)(const EalArguments &eal, int argc, char **argv);
};

extern const Command kBounceCommand;
extern const Command kChurnCommand;
extern const Command kRecordCommand;
extern const Command kReplayCommand;
extern const Command kSoakCommand;
extern const Command kVisitorCommand;

}  // namespace iovad::perf
