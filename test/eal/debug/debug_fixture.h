// SPDX-License-Identifier: BSD-3-Clause
// A domain in debug mode, what it found as telemetry has it, and what it logged.
#pragma once

#include <algorithm>
#include <string>

#include "../captured_log.h"
#include "../telemetry_client.h"
#include "../test_domain.h"
#include "iovad/iovad_dma.h"

namespace iovad::test {

inline iovad_domain_conf debug_conf(iovad_backend backend = IOVAD_BACKEND_SOFT, iovad_unmap_policy policy = IOVAD_UNMAP_STRICT)
{
	iovad_domain_conf conf = conf_of(kPage, (uint64_t{1} << 30) - 1, IOVAD_DOMAIN_F_DEBUG);
	conf.backend = backend;
	conf.unmap_policy = policy;
	return conf;
}

inline constexpr const char *kFindings[] = {"double_free", "never_allocated", "wrong_length", "free_of_mapped", "double_unmap",
					    "never_mapped", "unchecked_map", "wrong_direction", "bad_sync", "sync_beyond",
					    "leak", "given_back", "early_reuse"};

inline std::string findings_of(const char *domain) { return TelemetryClient().ask(std::string("/iovad/debug,") + domain); }

inline uint64_t sum_of_findings(const char *domain)
{
	const std::string answer = findings_of(domain);
	uint64_t sum = 0;
	for (const char *finding : kFindings)
		sum += number_of(answer, finding);
	return sum;
}

inline std::string hex(uint64_t n)
{
	char text[32];
	std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(n));
	return text;
}

// What is logged is this one finding, counted once, and says all of these.
class Expected {
public:
	Expected(const char *domain, const char *finding)
		: domain_(domain), finding_(finding), before_(sum_of_findings(domain)), of_it_(number_of(findings_of(domain), finding))
	{
	}
	void check(const std::vector<std::string> &said)
	{
		const std::string log = log_.text(), answer = findings_of(domain_);
		EXPECT_EQ(of_it_ + 1, number_of(answer, finding_)) << answer << log;
		EXPECT_EQ(before_ + 1, sum_of_findings(domain_)) << answer << log;
		std::string name = finding_;
		std::replace(name.begin(), name.end(), '_', ' ');
		EXPECT_NE(std::string::npos, log.find(std::string(domain_) + ": " + name + ": ")) << log;
		EXPECT_NE(std::string::npos, answer.find(name + ": ")) << answer;
		size_t at = 0;  // in this order
		for (const std::string &text : said) {
			at = log.find(text, at);
			EXPECT_NE(std::string::npos, at) << text << "\n" << log;
			at = at == std::string::npos ? 0 : at + text.size();
		}
	}

private:
	Log log_;
	const char *const domain_, *const finding_;
	const uint64_t before_, of_it_;
};

}  // namespace iovad::test
