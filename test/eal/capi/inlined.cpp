// SPDX-License-Identifier: BSD-3-Clause
#include "inlined.h"

#include <dlfcn.h>

int alloc_in_cxx(iovad_domain *d, uint64_t len, uint64_t limit, rte_iova_t *iova)
{
	return iovad_alloc(d, len, limit, iova);
}

int free_in_cxx(iovad_domain *d, rte_iova_t iova, uint64_t len) { return iovad_free(d, iova, len); }

iovad_alloc_fn *symbol_alloc() { return reinterpret_cast<iovad_alloc_fn *>(dlsym(RTLD_DEFAULT, "iovad_alloc")); }
iovad_free_fn *symbol_free() { return reinterpret_cast<iovad_free_fn *>(dlsym(RTLD_DEFAULT, "iovad_free")); }
