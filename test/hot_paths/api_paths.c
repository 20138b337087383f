/* SPDX-License-Identifier: BSD-3-Clause
 * The hot paths of the C API and of the mempool driver, as an application has them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h> /* rte_ring.h needs ssize_t */

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mempool.h>

#include <iovad/iovad_bounce.h>
#include <iovad/iovad_control.h>
#include <iovad/iovad_dma.h>

#include "../eal/eal_setup.h"
#include "hot_paths.h"

#define PAGE UINT64_C(4096)
#define BURST 32
#define MAPPED 1024  /* at once, far below what a queue takes */
#define BOUNCED 64   /* bytes */

static struct iovad_domain *plain, *lazy;
static struct iovad_bounce_pool *bounce;
static struct rte_mempool *objects;
static char *memory;  /* MAPPED pages */
static rte_iova_t mapped[MAPPED];

/* What a program calls that does not inline. Read at each call, so that the compiler cannot. */
static int (*volatile exported_alloc)(struct iovad_domain *, uint64_t, uint64_t, rte_iova_t *) = iovad_alloc;
static int (*volatile exported_free)(struct iovad_domain *, rte_iova_t, uint64_t) = iovad_free;

HOT_PATH_RUN int pair_inlined(unsigned int n)
{
	int failed = 0;

	for (unsigned int i = 0; i < n; i++) {
		rte_iova_t iova;

		failed |= iovad_alloc(plain, PAGE, UINT64_MAX, &iova);
		failed |= iovad_free(plain, iova, PAGE);
	}
	return failed;
}

HOT_PATH_RUN int pair_exported(unsigned int n)
{
	int failed = 0;

	for (unsigned int i = 0; i < n; i++) {
		rte_iova_t iova;

		failed |= exported_alloc(plain, PAGE, UINT64_MAX, &iova);
		failed |= exported_free(plain, iova, PAGE);
	}
	return failed;
}

/* A bin that is not inlined: more than a granule. */
HOT_PATH_RUN int pair_of_4_pages(unsigned int n)
{
	int failed = 0;

	for (unsigned int i = 0; i < n; i++) {
		rte_iova_t iova;

		failed |= iovad_alloc(plain, 4 * PAGE, UINT64_MAX, &iova);
		failed |= iovad_free(plain, iova, 4 * PAGE);
	}
	return failed;
}

HOT_PATH_RUN int bulk_of_32(unsigned int n)
{
	rte_iova_t iovas[BURST];
	int failed = 0;

	for (unsigned int i = 0; i < n; i += BURST) {
		failed |= iovad_alloc_bulk(plain, PAGE, UINT64_MAX, iovas, BURST);
		failed |= iovad_free_bulk(plain, iovas, PAGE, BURST);
	}
	return failed;
}

/* A pass of the control lcore, in time, is what keeps unmapping lazy. */
static int map_all(unsigned int n)
{
	int failed = 0;

	iovad_control_poll();
	for (unsigned int i = 0; i < n; i++)
		failed |= iovad_map(lazy, memory + i * PAGE, PAGE, UINT64_MAX, IOVAD_BIDIRECTIONAL, &mapped[i]);
	return failed;
}

static int flush(unsigned int n)
{
	(void)n;
	return iovad_flush(lazy);
}

static inline int unmap_all(unsigned int n)
{
	int failed = 0;

	for (unsigned int i = 0; i < n; i++)
		failed |= iovad_unmap(lazy, mapped[i], PAGE);
	return failed;
}

HOT_PATH_RUN int lazy_unmap(unsigned int n) { return unmap_all(n); }

static int unmap_and_flush(unsigned int n) { return unmap_all(n) | flush(n); }

HOT_PATH_RUN int lookup_va2iova(unsigned int n)
{
	int failed = 0;

	for (unsigned int i = 0; i < n; i++)
		failed |= iovad_va2iova(lazy, memory + i * PAGE, PAGE) != mapped[i];
	return failed;
}

/* Copied in only: hardly more than what is not copying. */
HOT_PATH_RUN int bounce_of_64_bytes(unsigned int n)
{
	int failed = 0;

	for (unsigned int i = 0; i < n; i++) {
		rte_iova_t iova;

		failed |= iovad_bounce_map(bounce, memory, BOUNCED, 0, IOVAD_TO_DEVICE, &iova);
		failed |= iovad_bounce_unmap(bounce, iova, BOUNCED, IOVAD_TO_DEVICE, 0);
	}
	return failed;
}

HOT_PATH_RUN int mempool_pair(unsigned int n)
{
	int failed = 0;

	for (unsigned int i = 0; i < n; i++) {
		void *object;

		failed |= rte_mempool_get(objects, &object);
		rte_mempool_put(objects, object);
	}
	return failed;
}

HOT_PATH_RUN int mempool_bulk_of_32(unsigned int n)
{
	void *some[BURST];
	int failed = 0;

	for (unsigned int i = 0; i < n; i += BURST) {
		failed |= rte_mempool_get_bulk(objects, some, BURST);
		rte_mempool_put_bulk(objects, some, BURST);
	}
	return failed;
}

static struct iovad_domain *create(const char *name, enum iovad_backend backend)
{
	struct iovad_domain_conf conf;

	iovad_domain_conf_init(&conf);
	conf.name = name;
	conf.backend = backend;
	conf.granule = PAGE;
	conf.unmap_policy = IOVAD_UNMAP_LAZY;
	/* Time passes differently where instructions are counted. */
	conf.lazy_max_age_us = 10000000;
	return iovad_domain_create(&conf);
}

static struct iovad_bounce_pool *create_bounce(struct iovad_domain *domain)
{
	struct iovad_bounce_conf conf;

	iovad_bounce_conf_init(&conf);
	conf.name = "bounce";
	conf.domain = domain;
	return iovad_bounce_pool_create(&conf);
}

/* Without a cache of the mempool's own, so that each call reaches the driver. */
static struct rte_mempool *create_objects(void)
{
	struct rte_mempool *pool = rte_mempool_create_empty("objects", 1023, 64, 0, 0, SOCKET_ID_ANY, 0);

	if (!pool || rte_mempool_set_ops_byname(pool, "iovad", NULL) != 0 || rte_mempool_populate_default(pool) < 0)
		return NULL;
	return pool;
}

int hot_paths_set_up(void)
{
	int error;

	if (!dlopen(getenv("IOVAD_TEST_PLUGIN"), RTLD_NOW)) {
		fprintf(stderr, "IOVAD_TEST_PLUGIN: %s\n", dlerror());
		return 1;
	}
	error = test_eal_start("hot_paths", TEST_EAL_PRIVATE, NULL);
	if (error != 0) {
		fprintf(stderr, "EAL does not start: %s\n", strerror(-error));
		return 1;
	}
	memory = aligned_alloc(PAGE, MAPPED * PAGE);
	plain = create("plain", IOVAD_BACKEND_NONE);
	lazy = create("lazy", IOVAD_BACKEND_SOFT);
	if (memory && plain && lazy) {
		bounce = create_bounce(lazy);
		objects = create_objects();
	}
	if (!bounce || !objects) {
		fprintf(stderr, "a domain or a pool cannot be made: %s\n", rte_strerror(rte_errno));
		return 1;
	}
	return 0;
}

const struct hot_path *hot_paths(void)
{
	static const struct hot_path paths[] = {
		{"pair_inlined", pair_inlined, 20000, 5, NULL, NULL},
		{"pair_exported", pair_exported, 20000, 5, NULL, NULL},
		{"pair_of_4_pages", pair_of_4_pages, 20000, 5, NULL, NULL},
		{"bulk_of_32", bulk_of_32, 32000, 5, NULL, NULL},
		{"lazy_unmap", lazy_unmap, MAPPED, 10, map_all, flush},
		{"lookup_va2iova", lookup_va2iova, MAPPED, 5, map_all, unmap_and_flush},
		{"bounce_of_64_bytes", bounce_of_64_bytes, 20000, 5, NULL, NULL},
		{"mempool_pair", mempool_pair, 20000, 5, NULL, NULL},
		{"mempool_bulk_of_32", mempool_bulk_of_32, 32000, 5, NULL, NULL},
		{NULL, NULL, 0, 0, NULL, NULL},
	};

	return paths;
}
