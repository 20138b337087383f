/* SPDX-License-Identifier: BSD-3-Clause
 * iovad_alloc() and iovad_free() as a C++ file inlines them, and as dlsym() finds them.
 */
#ifndef IOVAD_TEST_INLINED_H
#define IOVAD_TEST_INLINED_H

#include <iovad/iovad.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int iovad_alloc_fn(struct iovad_domain *, uint64_t, uint64_t, rte_iova_t *);
typedef int iovad_free_fn(struct iovad_domain *, rte_iova_t, uint64_t);

iovad_alloc_fn alloc_in_cxx, *symbol_alloc(void);
iovad_free_fn free_in_cxx, *symbol_free(void);

#ifdef __cplusplus
}
#endif

#endif
