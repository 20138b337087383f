// SPDX-License-Identifier: BSD-3-Clause
#include "loop/settings.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>

#include <rte_kvargs.h>

#include "eal/key_values.h"
#include "loop/log.h"

namespace iovad::loop {

namespace {

constexpr const char *kKeys[] = {"domain", "peer", "on_fault", "delay", "queues", "mac", nullptr};

int bad_value(const char *key, const char *value, const char *expected)
{
	LOOP_LOG(ERR, "%s=%s: must be %s", key, value, expected);
	return -EINVAL;
}

int read_domain(const char *key, const char *value, void *out)
{
	if (!*value || std::strlen(value) > IOVAD_NAME_MAX)
		return bad_value(key, value, "a name of up to 23 characters");
	std::snprintf(static_cast<Settings *>(out)->domain, IOVAD_NAME_MAX + 1, "%s", value);
	return 0;
}

int read_peer(const char *key, const char *value, void *out)
{
	if (std::strncmp(value, kDriverName, std::strlen(kDriverName)) != 0)
		return bad_value(key, value, "the name of a port of this driver: net_iovad_loop1");
	static_cast<Settings *>(out)->peer = value;
	return 0;
}

int read_on_fault(const char *key, const char *value, void *out)
{
	if (std::strcmp(value, "drop") != 0 && std::strcmp(value, "panic") != 0)
		return bad_value(key, value, "drop or panic");
	static_cast<Settings *>(out)->panic = std::strcmp(value, "panic") == 0;
	return 0;
}

int read_delay(const char *key, const char *value, void *out)
{
	uint64_t number;
	if (!eal::parse_number(value, number) || number > kMostDescriptors)
		return bad_value(key, value, "a number of descriptors, 0 to 4096");
	static_cast<Settings *>(out)->delay = static_cast<uint32_t>(number);
	return 0;
}

int read_queues(const char *key, const char *value, void *out)
{
	uint64_t number;
	if (!eal::parse_number(value, number) || number == 0 || number > kMostQueues)
		return bad_value(key, value, "a number of queues, 1 to 64");
	static_cast<Settings *>(out)->queues = static_cast<uint16_t>(number);
	return 0;
}

int read_mac(const char *key, const char *value, void *out)
{
	rte_ether_addr mac;
	if (rte_ether_unformat_addr(value, &mac) != 0 || !rte_is_valid_assigned_ether_addr(&mac))
		return bad_value(key, value, "the address of one port: 02:00:00:00:00:01");
	static_cast<Settings *>(out)->mac = mac;
	return 0;
}

// Locally administered, and another for each port of a process.
rte_ether_addr address_of(const std::string &port)
{
	const size_t hash = std::hash<std::string>()(port);
	rte_ether_addr mac = {{0x02, 'i', 'o', 'v', static_cast<uint8_t>(hash >> 8), static_cast<uint8_t>(hash)}};
	return mac;
}

}  // namespace

int Settings::read(const std::string &port, const char *text)
{
	peer = port;
	mac = address_of(port);
	if (!text || !*text)
		return 0;
	rte_kvargs *list = eal::are_key_values(text) ? rte_kvargs_parse(text, kKeys) : nullptr;
	if (!list) {
		LOOP_LOG(ERR, "%s: '%s' is not key=value[,key=value...] with keys domain, peer, on_fault, delay, queues, mac",
			 port.c_str(), text);
		return -EINVAL;
	}
	const struct {
		const char *key;
		arg_handler_t read;
	} rows[] = {{"domain", read_domain}, {"peer", read_peer},     {"on_fault", read_on_fault},
		    {"delay", read_delay},   {"queues", read_queues}, {"mac", read_mac}};
	int error = 0;
	for (const auto &row : rows) {
		if (rte_kvargs_process(list, row.key, row.read, this) != 0)
			error = -EINVAL;
	}
	rte_kvargs_free(list);
	return error;
}

}  // namespace iovad::loop
