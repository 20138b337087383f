// SPDX-License-Identifier: BSD-3-Clause
// The mempool driver's settings: up to the first line break what IOVAD_MEMPOOL holds, after it what a
// pool is configured with. What is accepted means the same when it is written out.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>

#include <rte_log.h>

#include "fuzz.h"
#include "mempool/log.h"
#include "mempool/settings.h"

// Of the driver, which is not here.
int iovad::mempool::logtype = RTE_LOGTYPE_USER1;

namespace iovad::mempool {
namespace {

bool operator==(const Settings &a, const Settings &b)
{
	return std::strcmp(a.domain, b.domain) == 0 && a.same_domain(b) && a.limit == b.limit && a.stats == b.stats;
}

std::string written(const Settings &s)
{
	constexpr const char *kBackends[] = {"auto", "soft", "vfio"};
	const auto number = [](const char *key, uint64_t value) { return std::string(",") + key + "=" + std::to_string(value); };
	return std::string("domain=") + s.domain + ",backend=" + kBackends[static_cast<int>(s.backend)] +
	       number("first", s.first) + number("last", s.last) + number("limit", s.limit) +
	       number("max_ranges", s.max_ranges) + number("stats", s.stats);
}

void set_environment(const std::string &value) { setenv("IOVAD_MEMPOOL", value.c_str(), 1); }

// The last value of a key; empty: there is none.
std::string last_value(const std::string &text, const std::string &key)
{
	std::string value;
	std::istringstream pairs(text);
	for (std::string pair; std::getline(pairs, pair, ',');) {
		if (pair.starts_with(key + "="))
			value = pair.substr(key.size() + 1);
	}
	return value;
}

}  // namespace
}  // namespace iovad::mempool

extern "C" int LLVMFuzzerInitialize(int *, char ***)
{
	iovad::fuzz::throw_on_failure();
	rte_log_set_global_level(RTE_LOG_EMERG);
	return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	using namespace iovad::mempool;
	std::string text(iovad::fuzz::text_of(data, size));
	std::replace(text.begin(), text.end(), '\0', '?');  // texts of C
	const size_t line = std::min(text.find('\n'), text.size());
	set_environment(text.substr(0, line));
	const std::string config = line < text.size() ? text.substr(line + 1) : "";

	Settings s;
	const int rc = s.read(line < text.size() ? config.c_str() : nullptr);
	EXPECT_TRUE(rc == 0 || rc == -EINVAL) << rc;
	if (rc != 0)
		return 0;
	EXPECT_TRUE(s.domain[0] != '\0' && std::strlen(s.domain) <= IOVAD_NAME_MAX);
	const std::string limit = last_value(config, "limit"), domain = last_value(config, "domain");
	if (!limit.empty())
		EXPECT_EQ(std::strtoull(limit.c_str(), nullptr, 0), s.limit) << text;
	if (!domain.empty())
		EXPECT_EQ(domain, s.domain) << text;

	set_environment("");
	Settings again;
	EXPECT_EQ(0, again.read(written(s).c_str())) << written(s);
	EXPECT_TRUE(s == again) << written(s);
	return 0;
}
