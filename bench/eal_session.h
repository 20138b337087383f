// SPDX-License-Identifier: BSD-3-Clause
// EAL for the length of a benchmark: on the lcores that $IOVAD_BENCH_CPUS names (as
// taskset -c does; else the first two that this process may run on), with no devices but those
// whose PCI addresses $IOVAD_BENCH_DEVICES lists, and without files left behind, on huge pages
// where the system has any to spare.
#pragma once

#include <string>

namespace iovad::bench {

class EalSession {
public:
	// first: the others are left to iovad's control thread.
	enum class Lcores { all, first };

	explicit EalSession(Lcores lcores = Lcores::all);
	~EalSession();
	EalSession(const EalSession &) = delete;
	EalSession &operator=(const EalSession &) = delete;

	const std::string &cpus() const { return cpus_; }
	bool huge_pages() const { return huge_pages_; }

private:
	std::string cpus_;
	bool huge_pages_;
};

}  // namespace iovad::bench
