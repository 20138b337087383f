// SPDX-License-Identifier: BSD-3-Clause
// What a backend says when it fails, in the log.
#pragma once

#include <rte_log.h>

#include "dma/backend.h"

namespace iovad::eal {

// "<domain>: <what> (<what the system said>): <advice>". Returns the errno for the caller.
int log_outcome(const char *domain, const char *what, const dma::Outcome &outcome, uint32_t level = RTE_LOG_ERR);

}  // namespace iovad::eal
