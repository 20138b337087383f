// SPDX-License-Identifier: BSD-3-Clause
// The counters of a domain, as users see them.
#pragma once

#include "eal/domain/handle.h"

namespace iovad::eal {

iovad_domain_stats read_stats(const iovad_domain &d);

}  // namespace iovad::eal
