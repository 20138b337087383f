// SPDX-License-Identifier: BSD-3-Clause
// The pools of one port's headers: the present one, and earlier ones, which are freed once all of
// theirs have come back, and not at once then.
#pragma once

#include <cstdint>
#include <list>

#include <rte_mempool.h>

namespace iovad::eal {

class HeaderPools {
public:
	// How long a pool that was left must have all its headers: whoever gave the last one back may still
	// be inside that call.
	static constexpr uint64_t kIdleNs = 1'000'000'000;

	explicit HeaderPools(uint16_t port) : port_(port) {}

	// The present one from now on, of n or more. Null: no memory, logged.
	rte_mempool *get(unsigned n);
	// Nobody takes any more of the present one.
	void leave();
	// Of those that were left; looks at all of their mbufs.
	void free_idle(uint64_t now_ns);

private:
	struct Pool {
		rte_mempool *mempool;
		uint64_t idle_since_ns;  // 0: some were out when it was looked at
	};

	const uint16_t port_;
	unsigned made_ = 0;  // so far, for their names
	std::list<Pool> present_, left_;  // lists, since one moves to the other without memory
};

}  // namespace iovad::eal
