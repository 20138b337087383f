// SPDX-License-Identifier: BSD-3-Clause
#include "child.h"

#include <vector>

#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>

#include <rte_eal.h>

namespace iovad::test {

int run_again(const std::string &argument)
{
	std::string program = "/proc/self/exe", word = argument;
	char *argv[] = {program.data(), word.data(), nullptr};
	pid_t child;
	int status = -1;
	if (posix_spawn(&child, program.c_str(), nullptr, nullptr, argv, environ) == 0)
		waitpid(child, &status, 0);
	return status;
}

bool start_small_eal(const std::string &more)
{
	cpu_set_t cpus;
	sched_getaffinity(0, sizeof cpus, &cpus);
	int cpu = 0;
	while (!CPU_ISSET(cpu, &cpus))
		++cpu;
	static std::vector<std::string> arguments;  // EAL keeps some
	arguments = {"child", "--no-huge", "-m128", "--no-pci", "--no-shconf", "--no-telemetry",
		     "--log-level=lib.eal:error", "--lcores=0@" + std::to_string(cpu), more};
	static std::vector<char *> argv;
	for (std::string &argument : arguments)
		argv.push_back(argument.data());
	argv.push_back(nullptr);
	return rte_eal_init(static_cast<int>(arguments.size()), argv.data()) >= 0;
}

}  // namespace iovad::test
