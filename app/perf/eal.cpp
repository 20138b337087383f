// SPDX-License-Identifier: BSD-3-Clause
#include "eal.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>

#include "errors.h"
#include "text.h"

namespace iovad::perf {

Eal::Eal(const EalArguments &arguments)
{
	EalArguments argv = arguments;  // EAL reorders them
	argv.push_back(nullptr);
	const int parsed = rte_eal_init(static_cast<int>(arguments.size()), argv.data());
	if (parsed < 0)
		throw UsageError(format("EAL cannot start: %s", rte_strerror(rte_errno)));
	if (static_cast<size_t>(parsed) + 1 < arguments.size()) {
		const std::string stray = argv[static_cast<size_t>(parsed) + 1];
		rte_eal_cleanup();
		throw UsageError(
			format("'%s' is no EAL option; put -- before the sub-command", stray.c_str()));
	}
}

Eal::~Eal()
{
	rte_eal_cleanup();
}

std::vector<unsigned> Eal::lcores(unsigned count) const
{
	const unsigned available = rte_lcore_count();
	if (count > available)
		throw UsageError(format(
			"--lcores %u, but EAL has %u: give it more with -l or --lcores before --",
			count, available));
	std::vector<unsigned> lcores = {rte_get_main_lcore()};
	unsigned lcore;
	RTE_LCORE_FOREACH_WORKER(lcore) {
		lcores.push_back(lcore);
	}
	lcores.resize(count == 0 ? available : count);
	return lcores;
}

}  // namespace iovad::perf
