// SPDX-License-Identifier: BSD-3-Clause
// iovad_free() and its like in debug mode: one by one, each looked at.
#pragma once

#include "eal/domain/handle.h"

namespace iovad::eal::debug {

// 0 or a negative errno. The domain has a checker.
int free(iovad_domain &d, const rte_iova_t *iovas, uint64_t len, unsigned n);
int free_range(iovad_domain &d, rte_iova_t iova, uint64_t len);

}  // namespace iovad::eal::debug
