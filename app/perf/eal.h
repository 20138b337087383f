// SPDX-License-Identifier: BSD-3-Clause
// DPDK's environment for the life of this object.
#pragma once

#include <vector>

namespace iovad::perf {

// Program name and EAL options, without "--" and what follows it.
using EalArguments = std::vector<char *>;

class Eal {
public:
	explicit Eal(const EalArguments &arguments);  // throws UsageError
	~Eal();
	Eal(const Eal &) = delete;
	Eal &operator=(const Eal &) = delete;

	// The first count lcores, the main one before all others; all of them for 0. Throws UsageError
	// where there are fewer.
	std::vector<unsigned> lcores(unsigned count) const;
};

}  // namespace iovad::perf
