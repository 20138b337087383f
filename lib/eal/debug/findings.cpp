// SPDX-License-Identifier: BSD-3-Clause
#include "eal/debug/findings.h"

#include <algorithm>
#include <cinttypes>
#include <cstdlib>
#include <iterator>

#include "core/clock.h"
#include "eal/log/log.h"

namespace iovad::eal::debug {

namespace {

constexpr const char *kKeys[] = {"double_free", "never_allocated", "wrong_length", "free_of_mapped", "double_unmap",
				 "never_mapped", "unchecked_map", "wrong_direction", "bad_sync", "sync_beyond", "leak",
				 "given_back", "early_reuse"};
static_assert(std::size(kKeys) == kFindings);

}  // namespace

const char *key_of(Finding finding) { return kKeys[static_cast<unsigned>(finding)]; }

std::string name_of(Finding finding)
{
	std::string name = key_of(finding);
	std::replace(name.begin(), name.end(), '_', ' ');
	return name;
}

// There may be no memory for the text: what counts is counted.
void Findings::report(Finding finding, const std::vector<std::string> &lines) noexcept
{
	count(finding, 1);
	try {
		log(finding, lines);
		const std::lock_guard guard(mutex_);
		last_.push_front(lines);
		if (last_.size() > kKept)
			last_.pop_back();
	} catch (const std::bad_alloc &) {
		IOVAD_LOG(ERR, "%s: %s (no memory to say more)", domain_, key_of(finding));
	}
	if (fatal_)
		std::abort();
}

// In one call, so that no other's lines come between.
void Findings::log(Finding finding, const std::vector<std::string> &lines)
{
	const LogLimit::Verdict verdict = limits_[index(finding)].ask(core::now_ns());
	if (verdict.withheld != 0)
		IOVAD_LOG(WARNING, "%s: %" PRIu64 " more findings in %" PRIu64 " s: %s", domain_, verdict.withheld,
			  LogLimit::kIntervalNs / 1'000'000'000, name_of(finding).c_str());
	if (!verdict.write)
		return;
	std::string text;
	for (const std::string &line : lines)
		text += std::string("IOVAD: ") + domain_ + ": " + line + '\n';
	rte_log(RTE_LOG_ERR, static_cast<uint32_t>(iovad_logtype), "%s", text.c_str());
}

std::vector<std::string> Findings::last() const
{
	const std::lock_guard guard(mutex_);
	std::vector<std::string> lines;
	for (const std::vector<std::string> &report : last_)
		lines.insert(lines.end(), report.begin(), report.end());
	return lines;
}

}  // namespace iovad::eal::debug
