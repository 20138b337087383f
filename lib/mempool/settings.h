// SPDX-License-Identifier: BSD-3-Clause
// How the mempool driver is told what to do: key=value pairs, comma-separated, in the
// environment variable IOVAD_MEMPOOL, and for a single pool in the pool_config string of
// rte_mempool_set_ops_byname(), which comes second and wins. doc/mempool.md is the
// reference of the keys.
#pragma once

#include <cstdint>

#include "iovad/iovad.h"

namespace iovad::mempool {

enum class BackendChoice { automatic, soft, vfio };

struct Settings {
	char domain[IOVAD_NAME_MAX + 1] = "mempool";
	BackendChoice backend = BackendChoice::automatic;
	uint64_t first = 0;             // the window; 0: as in iovad_domain_conf
	uint64_t last = 0;
	uint64_t limit = UINT64_MAX;    // of the pool
	uint64_t max_ranges = 0;
	bool stats = false;             // write the domain's map and counters before its last pool goes

	// 0 or a negative errno, logged. pool_config: may be null.
	int read(const char *pool_config);
	// Whether both ask for the same kind of domain.
	bool same_domain(const Settings &other) const;

private:
	int apply(const char *text, const char *where);
};

}  // namespace iovad::mempool
