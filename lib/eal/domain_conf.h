// SPDX-License-Identifier: BSD-3-Clause
// A user's configuration, checked and completed.
#pragma once

#include "core/domain.h"
#include "iovad/iovad.h"

namespace iovad::eal {

// 0 and the core's configuration, or an errno (positive) and the reason in the log.
int check_conf(const iovad_domain_conf &conf, core::DomainConfig &out);
// The same for a name.
int check_name(const char *name);

}  // namespace iovad::eal
