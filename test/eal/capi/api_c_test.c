/* SPDX-License-Identifier: BSD-3-Clause
 * Every function of iovad.h and iovad_dma.h once, from a C program. Prints TAP.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include <iovad/iovad.h>
#include <iovad/iovad_dma.h>

#include "../eal_setup.h"
#include "inlined.h"

#define PAGE UINT64_C(4096)
#define LIMIT_32 UINT64_C(0xFFFFFFFF)
#define BULK 40

static int checks, failures;

static int alloc_in_c(struct iovad_domain *d, uint64_t len, uint64_t limit, rte_iova_t *iova)
{
	return iovad_alloc(d, len, limit, iova);
}

static int free_in_c(struct iovad_domain *d, rte_iova_t iova, uint64_t len)
{
	return iovad_free(d, iova, len);
}

static void check(bool good, const char *what)
{
	++checks;
	failures += !good;
	printf("%s %d - %s\n", good ? "ok" : "not ok", checks, what);
}

static struct iovad_domain *create(void)
{
	struct iovad_domain_conf conf;

	check(iovad_domain_conf_init(&conf) == 0, "conf_init fills the defaults");
	conf.name = "c-domain";
	conf.iova_last = 8 * LIMIT_32;
	struct iovad_domain *d = iovad_domain_create(&conf);
	check(d != NULL, "create makes a domain");
	check(iovad_domain_lookup("c-domain") == d, "lookup finds it");
	rte_errno = 0;
	check(iovad_domain_create(&conf) == NULL && rte_errno == EEXIST, "create refuses a name twice");
	rte_errno = 0;
	check(iovad_domain_lookup("d-domain") == NULL && rte_errno == ENOENT, "lookup knows no other");
	return d;
}

static void cached(struct iovad_domain *d)
{
	rte_iova_t iova = 0, iovas[BULK];

	check(iovad_alloc(d, 3 * PAGE, LIMIT_32, &iova) == 0, "alloc takes a range");
	check(iova != 0 && iova % (4 * PAGE) == 0 && iova + 3 * PAGE - 1 <= LIMIT_32,
	      "alloc aligns naturally under the limit");
	check(iovad_free(d, iova, 3 * PAGE) == 0, "free gives it back");
	check(iovad_alloc_bulk(d, PAGE, LIMIT_32, iovas, BULK) == 0, "alloc_bulk takes many");
	check(iovas[0] != iovas[BULK - 1], "alloc_bulk takes different ones");
	check(iovad_free_bulk(d, iovas, PAGE, BULK) == 0, "free_bulk gives them back");
	check(iovad_alloc(d, PAGE + 1, LIMIT_32, &iova) == -EINVAL, "alloc refuses half a granule");
}

/* The same two functions inlined, by pointer and by name: one implementation, one cache. */
static void inlined_or_called(struct iovad_domain *d, const char *language, iovad_alloc_fn *alloc_inlined,
			      iovad_free_fn *free_inlined)
{
	iovad_alloc_fn *const alloc_called = symbol_alloc();
	iovad_free_fn *const free_called = symbol_free();
	struct iovad_domain_stats before, after;
	rte_iova_t iova = 0, again = 0;

	printf("# %s\n", language);
	check(alloc_called != NULL && free_called != NULL, "alloc and free are exported");
	if (alloc_called == NULL || free_called == NULL)
		return;
	check(alloc_called == iovad_alloc && free_called == iovad_free, "pointers to them are to the library's");
	check(alloc_inlined(d, PAGE, UINT64_MAX, &iova) == 0 && free_inlined(d, iova, PAGE) == 0, "fill the cache");
	iovad_domain_stats_get(d, &before);
	check(alloc_inlined(d, PAGE, UINT64_MAX, &again) == 0 && again == iova, "inlined alloc takes the top");
	check(free_called(d, again, PAGE) == 0, "called free puts it back");
	check(alloc_called(d, PAGE, UINT64_MAX, &again) == 0 && again == iova, "called alloc takes it again");
	check(free_inlined(d, again, PAGE) == 0, "inlined free puts it back");
	iovad_domain_stats_get(d, &after);
	check(after.cache_hits == before.cache_hits + 2, "both count as hits of the cache");
	check(alloc_inlined(NULL, PAGE, UINT64_MAX, &iova) == -EINVAL &&
	      alloc_inlined(d, PAGE, UINT64_MAX, NULL) == -EINVAL && free_inlined(NULL, iova, PAGE) == -EINVAL,
	      "inlined ones refuse NULL");
	check(free_inlined(d, 8 * LIMIT_32 + 1 + PAGE, PAGE) == -EINVAL && free_inlined(d, iova + 1, PAGE) == -EINVAL &&
	      free_inlined(d, 0, PAGE) == -EINVAL, "inlined free refuses what is no page of the domain");
}

static void exact(struct iovad_domain *d)
{
	struct iovad_range range;
	rte_iova_t iova = 0;

	check(iovad_reserve(d, LIMIT_32 + 1 - 2 * PAGE, 2 * PAGE) == 0, "reserve keeps the top below 4 GiB");
	check(iovad_alloc_range(d, 5 * PAGE, PAGE, LIMIT_32, &iova) == 0, "alloc_range takes a range");
	check(iovad_find(d, iova + 4 * PAGE, &range) == 0 && range.iova == iova && range.len == 5 * PAGE &&
	      range.state == IOVAD_RANGE_LIVE && range.va == NULL, "find finds it by an inner address");
	check(iovad_find(d, LIMIT_32, &range) == 0 && range.state == IOVAD_RANGE_RESERVED,
	      "find finds what is reserved");
	check(iovad_free_range(d, iova, 4 * PAGE) == -ENOENT, "free_range wants the exact range");
	check(iovad_free_range(d, iova, 5 * PAGE) == 0, "free_range gives it back");
	check(iovad_unreserve(d, LIMIT_32 + 1 - PAGE, PAGE) == 0, "unreserve returns a part");
	check(iovad_unreserve(d, LIMIT_32 + 1 - 2 * PAGE, PAGE) == 0, "unreserve returns the rest");
}

static void end(struct iovad_domain *d)
{
	struct iovad_domain_stats stats;
	rte_iova_t iova = 0;

	check(iovad_alloc(d, PAGE, UINT64_MAX, &iova) == 0, "alloc without a limit");
	check(iovad_domain_destroy(d) == -EBUSY, "destroy refuses while a range is live");
	check(iovad_domain_stats_get(d, &stats) == 0 && stats.live_ranges == 1 && stats.live_bytes == PAGE,
	      "stats_get counts it");
	check(iovad_verify(d, stderr) == 0, "verify finds every invariant to hold");
	check(iovad_free(d, iova, PAGE) == 0, "free after the refusal");
	check(iovad_domain_destroy(d) == 0, "destroy ends the domain");
}

static void mapped(void)
{
	static char memory[3 * 4096];
	struct iovad_domain_conf conf;
	rte_iova_t iova = 0, region = 0;

	iovad_domain_conf_init(&conf);
	conf.name = "c-mapped";
	conf.backend = IOVAD_BACKEND_SOFT;
	struct iovad_domain *d = iovad_domain_create(&conf);
	check(d != NULL, "create makes a domain with a software IOMMU");
	if (d == NULL)
		return;
	check(iovad_map(d, memory + 100, 5000, LIMIT_32, IOVAD_TO_DEVICE, &iova) == 0 && iova + 4999 <= LIMIT_32,
	      "map maps under the limit");
	check(iovad_va2iova(d, memory + 200, 10) == iova + 100, "va2iova finds it");
	check(iovad_iova2va(d, iova + 100, 10) == memory + 200, "iova2va finds the memory");
	check(iovad_region_add(d, memory, sizeof memory, UINT64_MAX, IOVAD_BIDIRECTIONAL, &region) == 0,
	      "region_add maps all of it");
	check(iovad_domain_refresh(d) == 0, "refresh");
	check(iovad_domain_destroy(d) == -EBUSY, "destroy refuses while something is mapped");
	check(iovad_unmap(d, iova, 5000) == 0 && iovad_unmap(d, iova, 5000) == -ENOENT, "unmap, once");
	check(iovad_region_remove(d, memory, sizeof memory) == 0, "region_remove");
	check(iovad_va2iova(d, memory, 1) == RTE_BAD_IOVA && iovad_iova2va(d, region, 1) == NULL,
	      "lookups find nothing more");
	check(iovad_domain_destroy(d) == 0, "destroy ends it");
}

int main(int argc, char **argv)
{
	(void)argc;
	const int error = test_eal_start(argv[0], TEST_EAL_PRIVATE, NULL);
	if (error != 0) {
		printf("Bail out! EAL does not start: %s\n", strerror(-error));
		return 1;
	}
	struct iovad_domain *d = create();
	if (d != NULL) {
		cached(d);
		inlined_or_called(d, "inlined in C", alloc_in_c, free_in_c);
		inlined_or_called(d, "inlined in C++", alloc_in_cxx, free_in_cxx);
		exact(d);
		end(d);
	}
	mapped();
	rte_eal_cleanup();
	printf("1..%d\n", checks);
	return failures != 0;
}
