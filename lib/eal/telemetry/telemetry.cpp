// SPDX-License-Identifier: BSD-3-Clause
// The commands and their parameters: "<domain>", or "<domain>,<number>". They run on a thread of
// DPDK's for each client. What cannot be answered is null for the client, as DPDK has it, and the
// log says why.
#include "eal/telemetry/telemetry.h"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <new>

#include "eal/bounce/registry.h"
#include "eal/domain/registry.h"
#include "eal/log/log.h"

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

// Their names, or one pool's counters.
int bounce(const char *command, const char *parameters, rte_tel_data *data)
{
	if (!parameters) {
		rte_tel_data_start_array(data, RTE_TEL_STRING_VAL);
		for_each_bounce_pool([data](const iovad_bounce_pool &p) { rte_tel_data_add_array_string(data, p.name.c_str()); });
		return 0;
	}
	const bool known = with_bounce_pool(parameters, [data](iovad_bounce_pool &p) {
		Answer answer(data);
		tell_bounce(p, answer);
	});
	return known ? 0 : refuse(command, parameters, "no pool of this name; /iovad/bounce has those there are");
}

// The numbers of ports that have counters, or those of one.
int ethdev(const char *command, const char *parameters, rte_tel_data *data)
{
	if (!parameters) {
		rte_tel_data_start_array(data, kTelemetryUint);
		for_each_bounced_port([data](uint16_t port) { add_uint(data, port); });
		return 0;
	}
	const char *end = parameters + std::strlen(parameters);
	uint16_t port;
	const auto [stop, error] = std::from_chars(parameters, end, port);
	EthdevBounceReport report;
	if (stop != end || error != std::errc() || report_ethdev_bounce(port, report) != 0)
		return refuse(command, parameters, "no such port has counters; /iovad/ethdev has those that do");
	Answer answer(data);
	tell_ethdev(port, report, answer);
	return 0;
}

int control(const char *command, const char *parameters, rte_tel_data *data)
{
	if (parameters)
		return refuse(command, parameters, "takes no parameter");
	Answer answer(data);
	tell_control(answer);
	return 0;
}

// Runs use(domain) for "<domain>..." up to the comma.
int with_named(const char *command, const char *parameters, const UseDomain &use)
{
	if (!parameters)
		return refuse(command, parameters, "which domain? /iovad/list has their names");
	char name[IOVAD_NAME_MAX + 2];  // so that none of those too long is cut to one there is
	std::snprintf(name, sizeof name, "%.*s", static_cast<int>(std::strcspn(parameters, ",")), parameters);
	try {
		if (with_domain(name, use))
			return 0;
	} catch (const std::bad_alloc &) {
		return -ENOMEM;
	}
	return refuse(command, parameters, "no domain of this name; /iovad/list has those there are");
}

template <void (*tell)(iovad_domain &, Answer &)>
int of_domain(const char *command, const char *parameters, rte_tel_data *data)
{
	if (parameters && std::strchr(parameters, ','))
		return refuse(command, parameters, "takes a domain only");
	return with_named(command, parameters, [data](iovad_domain &d) {
		Answer answer(data);
		tell(d, answer);
	});
}

struct Bounds {
	unsigned least, most, otherwise;
};
constexpr Bounds kRows = {0, UINT32_MAX, 0}, kSlices = {1, kMostBuckets, 64};

template <void (*tell)(iovad_domain &, unsigned, Answer &), Bounds bounds>
int of_domain_and_number(const char *command, const char *parameters, rte_tel_data *data)
{
	unsigned number = bounds.otherwise;
	if (const char *comma = parameters ? std::strchr(parameters, ',') : nullptr) {
		const char *end = comma + std::strlen(comma);
		const auto [stop, error] = std::from_chars(comma + 1, end, number);
		if (stop != end || error != std::errc() || number < bounds.least || number > bounds.most)
			return refuse(command, parameters, "takes a domain and a number; doc/telemetry.md has which");
	}
	return with_named(command, parameters, [data, number](iovad_domain &d) {
		Answer answer(data);
		tell(d, number, answer);
	});
}

// "0x..." or a decimal number.
bool read_address(const char *text, uint64_t &out)
{
	const bool hex = text[0] == '0' && text[1] == 'x';
	const char *const begin = hex ? text + 2 : text, *const end = text + std::strlen(text);
	const auto [stop, error] = std::from_chars(begin, end, out, hex ? 16 : 10);
	return stop == end && error == std::errc();
}

int whatis(const char *command, const char *parameters, rte_tel_data *data)
{
	const char *comma = parameters ? std::strchr(parameters, ',') : nullptr;
	uint64_t address;
	if (!comma || !read_address(comma + 1, address))
		return refuse(command, parameters, "takes a domain and an address, as 0x... or a decimal number");
	return with_named(command, parameters, [data, address](iovad_domain &d) {
		Answer answer(data);
		tell_whatis(d, address, answer);
	});
}

}  // namespace

void register_telemetry()
{
	rte_telemetry_register_cmd("/iovad/list", list, "Names of the domains. Takes no parameters");
	rte_telemetry_register_cmd("/iovad/info", of_domain<tell_info>, "What a domain is. Parameters: domain");
	rte_telemetry_register_cmd("/iovad/stats", of_domain<tell_stats>, "Counters. Parameters: domain");
	rte_telemetry_register_cmd("/iovad/caches", of_domain_and_number<tell_caches, kRows>,
				   "What caches hold. Parameters: domain, first row");
	rte_telemetry_register_cmd("/iovad/map", of_domain_and_number<tell_map, kSlices>,
				   "The window in slices. Parameters: domain, slices (1 to 256)");
	rte_telemetry_register_cmd("/iovad/debug", of_domain<tell_debug>, "What debug mode found. Parameters: domain");
	rte_telemetry_register_cmd("/iovad/whatis", whatis, "What an address is. Parameters: domain, address");
	rte_telemetry_register_cmd("/iovad/bounce", bounce, "Bounce pools' names, or counters. Parameters: none, or a pool");
	rte_telemetry_register_cmd("/iovad/ethdev", ethdev, "Ports that bounce, or counters. Parameters: none, or a port");
	rte_telemetry_register_cmd("/iovad/control", control, "Passes of the control lcore. Takes no parameters");
}

}  // namespace iovad::eal
