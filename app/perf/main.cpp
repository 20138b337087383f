// SPDX-License-Identifier: BSD-3-Clause
// iovad-perf [EAL options] -- SUB-COMMAND [arguments]; without EAL for those that do not use it.
#include <cstdio>
#include <cstring>
#include <exception>

#include "command.h"
#include "text.h"

namespace iovad::perf {
namespace {

constexpr const Command *kCommands[] = {&kReplayCommand, &kChurnCommand, &kBounceCommand, &kRecordCommand, &kSoakCommand,
					&kVisitorCommand};

void print_usage()
{
	printf("Usage: iovad-perf [EAL options] -- SUB-COMMAND [arguments]\n"
	       "\n"
	       "Measures iovad, the I/O virtual address manager.\n"
	       "\n"
	       "Sub-commands:\n");
	for (const Command *command : kCommands) {
		if (command->summary != nullptr)
			printf("  %-10s %s\n", command->name, command->summary);
	}
	printf("\n"
	       "'iovad-perf -- SUB-COMMAND --help' shows its arguments; 'record' uses no EAL and needs "
	       "no --.\n"
	       "EAL's own: -l 0,1 for two lcores; --no-huge --no-pci -m 512 where there are no "
	       "huge pages.\n");
}

bool is_help(const char *argument)
{
	return strcmp(argument, "-h") == 0 || strcmp(argument, "--help") == 0;
}

const Command *find_command(const char *name)
{
	for (const Command *command : kCommands) {
		if (strcmp(command->name, name) == 0)
			return command;
	}
	return nullptr;
}

ExitCode dispatch(int argc, char **argv)
{
	const Command *first = argc > 1 ? find_command(argv[1]) : nullptr;
	if (first != nullptr && !first->uses_eal)
		return first->run({}, argc - 1, argv + 1);
	int separator = 1;
	while (separator < argc && strcmp(argv[separator], "--") != 0)
		separator++;
	const EalArguments eal(argv, argv + separator);
	const int rest = argc - separator - 1;
	if (rest < 0) {
		if (argc == 2 && is_help(argv[1])) {
			print_usage();
			return kExitOk;
		}
		throw UsageError("no sub-command: it stands after EAL's options and --; see "
				 "'iovad-perf --help'");
	}
	if (rest == 0)
		throw UsageError("no sub-command after --; see 'iovad-perf --help'");
	char **arguments = argv + separator + 1;
	if (is_help(arguments[0])) {
		print_usage();
		return kExitOk;
	}
	if (const Command *command = find_command(arguments[0]))
		return command->run(eal, rest, arguments);
	throw UsageError(format("no sub-command '%s'; see 'iovad-perf --help'", arguments[0]));
}

}  // namespace
}  // namespace iovad::perf

int main(int argc, char **argv)
{
	using namespace iovad::perf;
	try {
		const ExitCode code = dispatch(argc, argv);
		if (fflush(stdout) != 0)
			throw UsageError("cannot write to standard output");
		return code;
	} catch (const RunError &error) {
		fprintf(stderr, "iovad-perf: %s\n", error.what());
		return kExitWrong;
	} catch (const std::bad_alloc &) {
		fprintf(stderr, "iovad-perf: out of memory\n");
	} catch (const std::exception &error) {
		fprintf(stderr, "iovad-perf: %s\n", error.what());
	}
	return kExitUsage;
}
