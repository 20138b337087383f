// SPDX-License-Identifier: BSD-3-Clause
#include "eal_setup.h"

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include <sched.h>

#include <rte_eal.h>
#include <rte_errno.h>

namespace {

// "(0-3)@(CPUs)": all lcores share all CPUs that this process may use.
std::string lcores()
{
	cpu_set_t set;
	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof set, &set);
	std::ostringstream out;
	out << "--lcores=(0-" << TEST_EAL_LCORES - 1 << ")@(";
	const char *comma = "";
	for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
		if (CPU_ISSET(cpu, &set)) {
			out << comma << cpu;
			comma = ",";
		}
	}
	out << ')';
	return out.str();
}

const char *given_arguments() { return std::getenv("IOVAD_TEST_EAL_ARGS"); }

std::vector<std::string> arguments_for(test_eal_role role, const std::string &prefix)
{
	std::vector<std::string> out = {"--log-level=lib.eal:error", lcores()};
	if (role != TEST_EAL_TELEMETRY)
		out.push_back("--no-telemetry");
	const char *given = given_arguments();
	std::istringstream words(given ? given : "--no-huge -m512 --no-pci");
	for (std::string word; words >> word;)
		out.push_back(word);
	if (role == TEST_EAL_PRIMARY || role == TEST_EAL_SECONDARY)
		out.push_back("--file-prefix=" + prefix);
	else  // the one does not go with --no-huge, the other leaves pages in the --huge-dir
		out.push_back(given ? "--in-memory" : "--no-shconf");
	if (role == TEST_EAL_SECONDARY)
		out.push_back("--proc-type=secondary");
	return out;
}

}  // namespace

int test_eal_can_share(void) { return given_arguments() != nullptr; }

int test_eal_start(const char *program, enum test_eal_role role, const char *prefix)
{
	std::vector<std::string> arguments = arguments_for(role, prefix ? prefix : "");
	arguments.insert(arguments.begin(), program);
	// EAL changes the order of the pointers, and keeps some: they live as long as it does.
	static std::vector<std::string> kept;
	kept = std::move(arguments);
	std::vector<char *> argv;
	for (std::string &argument : kept)
		argv.push_back(argument.data());
	argv.push_back(nullptr);
	return rte_eal_init(static_cast<int>(kept.size()), argv.data()) < 0 ? -rte_errno : 0;
}
