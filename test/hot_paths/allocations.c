/* SPDX-License-Identifier: BSD-3-Clause
 * The C library's allocation, in front of it: also what operator new comes to.
 */
#include <errno.h>
#include <stddef.h>

#include "forbid.h"

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
void __libc_free(void *p);

void *malloc(size_t n)
{
	forbid_allocation("malloc");
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	forbid_allocation("calloc");
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	forbid_allocation("realloc");
	return __libc_realloc(p, n);
}

void *memalign(size_t alignment, size_t n)
{
	forbid_allocation("memalign");
	return __libc_memalign(alignment, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
	forbid_allocation("aligned_alloc");
	return __libc_memalign(alignment, n);
}

int posix_memalign(void **p, size_t alignment, size_t n)
{
	forbid_allocation("posix_memalign");
	*p = __libc_memalign(alignment, n);
	return *p ? 0 : ENOMEM;
}

void free(void *p)
{
	forbid_allocation("free");
	__libc_free(p);
}
