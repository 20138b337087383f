// SPDX-License-Identifier: BSD-3-Clause
// Mapping in a domain on behalf of the calling thread: 0 or a negative errno, and in the
// log why the backend failed. See iovad_dma.h.
#pragma once

#include "eal/domain/handle.h"

namespace iovad::eal {

int map(iovad_domain &d, void *va, uint64_t len, uint64_t limit, uint32_t dir, rte_iova_t &iova);
int unmap(iovad_domain &d, rte_iova_t iova, uint64_t len, iovad_unmap_policy policy);
int add_region(iovad_domain &d, void *va, uint64_t len, uint64_t limit, uint32_t dir, rte_iova_t &iova,
	       dma::Installer installer = dma::Installer::us);
int remove_region(iovad_domain &d, void *va, uint64_t len);
int refresh(iovad_domain &d);
// Nothing that was unmapped before is deferred when it returns. See iovad_control.h.
int flush(iovad_domain &d);
// And EAL's memory.
int refresh_all(iovad_domain &d);

}  // namespace iovad::eal
