// SPDX-License-Identifier: BSD-3-Clause
// What debug mode found in a domain: kinds, counts, reports. Any thread.
#pragma once

#include <atomic>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "eal/log/limit.h"

namespace iovad::eal::debug {

enum class Finding : uint8_t {
	double_free,      // of what was allocated and freed
	never_allocated,  // free of what this process has no trace of, and nobody holds
	wrong_length,     // free, or unmap, with another length or at another place than it was given
	free_of_mapped,   // by iovad_free(), of what iovad_map() gave
	double_unmap,
	never_mapped,
	unchecked_map,    // use of the address of a map that failed
	wrong_direction,  // bounce: unmap or sync with another than it was mapped with
	bad_sync,         // bounce: of what is not mapped
	sync_beyond,      // bounce: its end
	leak,             // live when the domain was to be destroyed
	given_back,       // memory that is not there any more, and still mapped
	early_reuse,      // an address handed out while devices may still reach what it was: iovad's fault
};
inline constexpr unsigned kFindings = 13;

// As telemetry has it, and as people read it.
const char *key_of(Finding finding);
std::string name_of(Finding finding);

class Findings {
public:
	// domain: its name, which stays.
	Findings(const char *domain, bool fatal) : domain_(domain), fatal_(fatal) {}

	// The first of the lines says what was found, the others how that came about. Ends the program if findings are fatal.
	void report(Finding finding, const std::vector<std::string> &lines) noexcept;
	// More of the same that no report is made of.
	void count(Finding finding, uint64_t n) { counts_[index(finding)].fetch_add(n, std::memory_order_relaxed); }

	uint64_t counted(Finding finding) const { return counts_[index(finding)].load(std::memory_order_relaxed); }
	// The latest reports, line by line, the newest first.
	static constexpr unsigned kKept = 4;
	std::vector<std::string> last() const;
	bool fatal() const { return fatal_; }

private:
	static unsigned index(Finding finding) { return static_cast<unsigned>(finding); }
	void log(Finding finding, const std::vector<std::string> &lines);

	const char *const domain_;
	const bool fatal_;
	std::atomic<uint64_t> counts_[kFindings] = {};
	LogLimit limits_[kFindings];
	mutable std::mutex mutex_;
	std::deque<std::vector<std::string>> last_;
};

}  // namespace iovad::eal::debug
