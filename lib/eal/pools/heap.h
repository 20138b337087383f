// SPDX-License-Identifier: BSD-3-Clause
// DPDK heaps whose memory lies in a domain.
//
// EAL maps the memory of external heaps in its own VFIO container, at the addresses it is
// told. In that container the domain only chooses the address and keeps a record; elsewhere
// it maps the memory itself.
#pragma once

#include "eal/domain/handle.h"

namespace iovad::eal {

// 0 or a negative errno, see iovad_ethdev.h.
int create_heap(iovad_domain &d, const char *name, uint64_t len, uint64_t page_size, uint64_t limit);
int destroy_heap(iovad_domain &d, const char *name);

}  // namespace iovad::eal
