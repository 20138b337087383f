// SPDX-License-Identifier: BSD-3-Clause
// A new domain gets what only the process has that created it: memory to grow, and with a backend its mapper.
#pragma once

#include "eal/domain/backend.h"
#include "eal/domain/handle.h"

namespace iovad::eal {

// 0 or an errno.
int start_mapping(iovad_domain &d, const iovad_domain_conf &conf, OpenBackend open);

}  // namespace iovad::eal
