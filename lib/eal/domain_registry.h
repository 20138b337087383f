// SPDX-License-Identifier: BSD-3-Clause
// Domains by name: a memzone each, which secondary processes find by lookup, and in
// every process a list of its handles. Not for the data path; everything here may sleep.
#pragma once

#include "eal/domain_handle.h"

namespace iovad::eal {

// Null with rte_errno, and the reason in the log.
iovad_domain *create_domain(const iovad_domain_conf &conf);
iovad_domain *lookup_domain(const char *name);
// 0 or a negative errno.
int destroy_domain(iovad_domain *domain);

}  // namespace iovad::eal
