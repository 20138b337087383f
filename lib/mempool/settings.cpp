// SPDX-License-Identifier: BSD-3-Clause
#include "mempool/settings.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <rte_kvargs.h>

#include "eal/key_values.h"
#include "mempool/log.h"

namespace iovad::mempool {

namespace {

constexpr char kVariable[] = "IOVAD_MEMPOOL";
constexpr const char *kKeys[] = {"domain", "backend", "first", "last", "limit", "max_ranges", "stats", nullptr};

int bad_value(const char *key, const char *value, const char *expected)
{
	MEMPOOL_LOG(ERR, "%s=%s: must be %s", key, value, expected);
	return -EINVAL;
}

using Reader = int (*)(const char *key, const char *value, void *out);

int read_number(const char *key, const char *value, void *out)
{
	if (!eal::parse_number(value, *static_cast<uint64_t *>(out)))
		return bad_value(key, value, "a number: 4096, 0xffffffff");
	return 0;
}

int read_domain(const char *key, const char *value, void *out)
{
	if (!*value || std::strlen(value) > IOVAD_NAME_MAX)
		return bad_value(key, value, "a name of up to 23 characters");
	std::snprintf(static_cast<char *>(out), IOVAD_NAME_MAX + 1, "%s", value);
	return 0;
}

int read_backend(const char *key, const char *value, void *out)
{
	static constexpr struct {
		const char *name;
		BackendChoice choice;
	} kNames[] = {{"auto", BackendChoice::automatic},
		      {"soft", BackendChoice::soft},
		      {"vfio", BackendChoice::vfio}};
	for (const auto &[name, choice] : kNames) {
		if (std::strcmp(value, name) == 0) {
			*static_cast<BackendChoice *>(out) = choice;
			return 0;
		}
	}
	return bad_value(key, value, "auto, soft or vfio");
}

int read_flag(const char *key, const char *value, void *out)
{
	if (std::strcmp(value, "0") != 0 && std::strcmp(value, "1") != 0)
		return bad_value(key, value, "0 or 1");
	*static_cast<bool *>(out) = *value == '1';
	return 0;
}

}  // namespace

bool Settings::same_domain(const Settings &other) const
{
	return backend == other.backend && first == other.first && last == other.last && max_ranges == other.max_ranges;
}

int Settings::read(const char *pool_config)
{
	const char *variable = std::getenv(kVariable);
	if (const int error = variable ? apply(variable, "the environment") : 0)
		return error;
	return pool_config ? apply(pool_config, "the pool's configuration") : 0;
}

int Settings::apply(const char *text, const char *where)
{
	if (!*text)
		return 0;
	rte_kvargs *list = eal::are_key_values(text) ? rte_kvargs_parse(text, kKeys) : nullptr;
	if (!list) {
		MEMPOOL_LOG(ERR, "%s: '%s' is not key=value[,key=value...] with keys domain, backend, first, last, "
			    "limit, max_ranges, stats", where, text);
		return -EINVAL;
	}
	const struct {
		const char *key;
		Reader read;
		void *out;
	} rows[] = {{"domain", read_domain, domain}, {"backend", read_backend, &backend}, {"first", read_number, &first},
		    {"last", read_number, &last},    {"limit", read_number, &limit},    {"max_ranges", read_number, &max_ranges},
		    {"stats", read_flag, &stats}};
	int error = 0;
	for (const auto &[key, read, out] : rows) {
		if (rte_kvargs_process(list, key, read, out) != 0)
			error = -EINVAL;
	}
	rte_kvargs_free(list);
	return error;
}

}  // namespace iovad::mempool
