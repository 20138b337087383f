/* SPDX-License-Identifier: BSD-3-Clause
 * EAL's allocation, as far as iovad uses it, in front of EAL's own.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>

#include <rte_malloc.h>
#include <rte_memzone.h>

#include "forbid.h"

/* ISO C knows no way from what dlsym() gives to a function. */
union next {
	void *object;
	__typeof__(&rte_zmalloc_socket) rte_zmalloc_socket;
	__typeof__(&rte_memzone_reserve_aligned) rte_memzone_reserve_aligned;
	__typeof__(&rte_memzone_free) rte_memzone_free;
	__typeof__(&rte_free) rte_free;
};

static union next next(const char *name)
{
	forbid_allocation(name);
	return (union next){dlsym(RTLD_NEXT, name)};
}

void *rte_zmalloc_socket(const char *type, size_t size, unsigned int align, int socket)
{
	return next(__func__).rte_zmalloc_socket(type, size, align, socket);
}

const struct rte_memzone *rte_memzone_reserve_aligned(const char *name, size_t len, int socket,
						      unsigned int flags, unsigned int align)
{
	return next(__func__).rte_memzone_reserve_aligned(name, len, socket, flags, align);
}

int rte_memzone_free(const struct rte_memzone *zone)
{
	return next(__func__).rte_memzone_free(zone);
}

void rte_free(void *p)
{
	next(__func__).rte_free(p);
}
