// SPDX-License-Identifier: BSD-3-Clause
// The commands and their parameters: "<domain>", or "<domain>,<number>". They run on a thread of
// DPDK's for each client. What cannot be answered is null for the client, as DPDK has it, and the
// log says why.
#include "eal/telemetry.h"

#include <cerrno>
#include <charconv>
#include <string_view>

#include "eal/domain_registry.h"
#include "eal/log.h"

namespace iovad::eal {

namespace {

int refuse(const char *command, const char *parameters, const char *why)
{
	IOVAD_LOG(WARNING, "telemetry: %s,%.64s: %s", command, parameters ? parameters : "", why);
	return -EINVAL;
}

int list(const char *command, const char *parameters, rte_tel_data *data)
{
	if (parameters)
		return refuse(command, parameters, "takes no parameter");
	rte_tel_data_start_array(data, RTE_TEL_STRING_VAL);
	for_each_domain([data](iovad_domain &d) { rte_tel_data_add_array_string(data, d.shared->name); });
	return 0;
}

template <void (*tell)(iovad_domain &, Answer &)>
int of_domain(const char *command, const char *parameters, rte_tel_data *data)
{
	if (!parameters)
		return refuse(command, parameters, "which domain? /iovad/list has their names");
	if (!with_domain(parameters, [data](iovad_domain &d) {
		    Answer answer(data);
		    tell(d, answer);
	    }))
		return refuse(command, parameters, "no domain of this name; /iovad/list has those there are");
	return 0;
}

}  // namespace

void register_telemetry()
{
	rte_telemetry_register_cmd("/iovad/list", list, "Names of the domains. Takes no parameters");
	rte_telemetry_register_cmd("/iovad/info", of_domain<tell_info>, "What a domain is. Parameters: domain");
	rte_telemetry_register_cmd("/iovad/stats", of_domain<tell_stats>, "Counters. Parameters: domain");
}

}  // namespace iovad::eal
