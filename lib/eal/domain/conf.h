// SPDX-License-Identifier: BSD-3-Clause
// A user's configuration, checked and completed.
#pragma once

#include "core/domain.h"
#include "dma/backend.h"
#include "iovad/iovad.h"

namespace iovad::eal {

// 0 or an errno, and the reason in the log.
int check_conf(const iovad_domain_conf &conf);
// The core's configuration for a conf that was checked; reach: what the backend can address,
// or null where there is none.
int complete_conf(const iovad_domain_conf &conf, const dma::Info *reach, core::DomainConfig &out);
// How far unmapping may be deferred, for a conf that was checked.
struct LazyBounds {
	uint64_t max_age_us, max_bytes;
};
// 0 or an errno, and the reason in the log.
int complete_bounds(const iovad_domain_conf &conf, const core::Geometry &geometry, LazyBounds &out);
int check_name(const char *name);
// Of the caches of so many lcores, and of threads and processes that come later. 1 KiB each.
uint32_t magazines_for(unsigned lcores);

}  // namespace iovad::eal
