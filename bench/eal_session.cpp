// SPDX-License-Identifier: BSD-3-Clause
#include "eal_session.h"

#include <rte_eal.h>
#include <rte_errno.h>

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace iovad::bench {

namespace {

constexpr unsigned kMegabytes = 512; // a million objects, a million ranges

std::string first_two_allowed()
{
	cpu_set_t allowed;
	CPU_ZERO(&allowed);
	sched_getaffinity(0, sizeof allowed, &allowed);
	std::string list;
	unsigned found = 0;
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && found < 2; ++cpu) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		if (found++)
			list += ',';
		list += std::to_string(cpu);
	}
	return list;
}

std::string wanted_cpus()
{
	const char *env = std::getenv("IOVAD_BENCH_CPUS");
	return env && *env ? env : first_two_allowed();
}

// EAL fails where it is asked for more than is free, so look first.
bool enough_huge_pages()
{
	unsigned long free_kb = 0;
	std::error_code none;
	for (const auto &size : std::filesystem::directory_iterator("/sys/kernel/mm/hugepages", none)) {
		unsigned long pages = 0;
		std::ifstream(size.path() / "free_hugepages") >> pages;
		std::string name = size.path().filename(); // hugepages-2048kB
		free_kb += pages * std::strtoul(name.c_str() + name.find('-') + 1, nullptr, 10);
	}
	return free_kb >= kMegabytes * 1024;
}

}  // namespace

EalSession::EalSession(Lcores lcores) : cpus_(wanted_cpus()), huge_pages_(enough_huge_pages())
{
	if (lcores == Lcores::first)
		cpus_.resize(std::min(cpus_.size(), cpus_.find_first_of(",-")));
	std::vector<std::string> args = {"bench", "-l", cpus_, "--no-telemetry", "-m", std::to_string(kMegabytes),
					 "--log-level=lib.eal:error"};
	const char *devices = std::getenv("IOVAD_BENCH_DEVICES");
	std::istringstream addresses(devices ? devices : "");
	for (std::string address; addresses >> address;)
		args.push_back("--allow=" + address);
	if (args.back().find("--allow") != 0)
		args.push_back("--no-pci");
	if (huge_pages_) {
		args.push_back("--in-memory");
	} else {
		// EAL refuses --in-memory beside --no-huge; this leaves no files either.
		args.push_back("--no-huge");
		args.push_back("--no-shconf");
	}
	std::vector<char *> argv;
	for (std::string &arg : args)
		argv.push_back(arg.data());
	if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0)
		throw std::runtime_error(std::string("rte_eal_init: ") + rte_strerror(rte_errno));
}

EalSession::~EalSession()
{
	rte_eal_cleanup();
}

}  // namespace iovad::bench
