// SPDX-License-Identifier: BSD-3-Clause
// A domain's memzone: what processes share of it, and where it lies there.
#pragma once

#include "eal/domain/conf.h"
#include "eal/domain/handle.h"

namespace iovad::eal {

// Large enough for a domain of conf, which was completed. Null with rte_errno, and the reason in the log.
const rte_memzone *reserve_memzone(const iovad_domain_conf &conf, const core::DomainConfig &config);
// All but the processes, and the magic by which others find it.
void format_domain(const rte_memzone *zone, const iovad_domain_conf &conf, const core::DomainConfig &config,
		   const LazyBounds &bounds);

}  // namespace iovad::eal
