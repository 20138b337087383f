// SPDX-License-Identifier: BSD-3-Clause
// Heaps: where what is allocated on them is for devices, what is refused, what is left.
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_memzone.h>

#include <sys/mman.h>

#include "../test_domain.h"
#include "iovad/iovad_ethdev.h"

namespace iovad::test {
namespace {

constexpr uint64_t kFirst = uint64_t{1} << 20, kMiB = uint64_t{1} << 20, k2MiB = 2 * kMiB, k1GiB = uint64_t{1} << 30;

iovad_domain_conf soft_conf()
{
	iovad_domain_conf conf = conf_of(kFirst, uint64_t{1} << 40);
	conf.backend = IOVAD_BACKEND_SOFT;
	conf.max_ranges = 4096;
	return conf;
}

// How many pages of 2 MiB a program could have.
bool huge_pages(uint64_t bytes)
{
	void *va = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 21 << 26, -1, 0);
	if (va != MAP_FAILED)
		munmap(va, bytes);
	return va != MAP_FAILED;
}

void expect_no_heap(const char *name) { EXPECT_LT(rte_malloc_heap_get_socket(name), 0) << name; }

void expect_not_created(iovad_domain *d, int error, const char *name, uint64_t len, uint64_t page, uint64_t limit = kLimit32)
{
	expect_refused(d, error, [&] { return iovad_heap_create(d, name, len, page, limit); });
	if (error != EEXIST)
		expect_no_heap(name);
}

bool in_domain(iovad_domain *d, rte_iova_t iova, uint64_t len, const void *va, uint64_t limit)
{
	return iova >= kFirst && iova + len - 1 <= limit && iovad_iova2va(d, iova, len) == va;
}

// Everything that drivers allocate has an address of the domain's.
void use_heap(iovad_domain *d, const char *name, uint64_t limit)
{
	const int socket = rte_malloc_heap_get_socket(name);
	ASSERT_GE(socket, RTE_MAX_NUMA_NODES);
	std::vector<const rte_memzone *> zones;
	for (const size_t len : {size_t{64}, size_t{5000}, size_t{65536}, size_t{1} << 20}) {
		const std::string zone_name = "zone-" + std::to_string(len);
		const rte_memzone *zone = rte_memzone_reserve_aligned(zone_name.c_str(), len, socket, RTE_MEMZONE_IOVA_CONTIG, 128);
		ASSERT_NE(nullptr, zone) << len << ": " << rte_strerror(rte_errno);
		EXPECT_TRUE(in_domain(d, zone->iova, zone->len, zone->addr, limit)) << std::hex << zone->iova;
		zones.push_back(zone);
	}
	std::vector<void *> pieces;
	for (const size_t len : {size_t{1}, size_t{4096}, size_t{100000}}) {
		void *p = rte_zmalloc_socket("piece", len, 64, socket);
		ASSERT_NE(nullptr, p) << len;
		EXPECT_TRUE(in_domain(d, rte_malloc_virt2iova(p), len, p, limit)) << std::hex << rte_malloc_virt2iova(p);
		pieces.push_back(p);
	}
	const State before = state_of(d);
	EXPECT_EQ(-EBUSY, iovad_heap_destroy(d, name));
	EXPECT_EQ(before, state_of(d));
	EXPECT_EQ(socket, rte_malloc_heap_get_socket(name));
	EXPECT_TRUE(in_domain(d, zones[0]->iova, zones[0]->len, zones[0]->addr, limit));
	for (const rte_memzone *zone : zones)
		EXPECT_EQ(0, rte_memzone_free(zone));
	EXPECT_EQ(-EBUSY, iovad_heap_destroy(d, name));
	for (void *p : pieces)
		rte_free(p);
}

void make_use_and_destroy(iovad_domain *d, uint64_t len, uint64_t page, uint64_t limit)
{
	const State before = state_of(d);
	ASSERT_EQ(0, iovad_heap_create(d, "heap", len, page, limit));
	EXPECT_GE(state_of(d).live_bytes, before.live_bytes + len);
	use_heap(d, "heap", limit);
	EXPECT_EQ(0, iovad_heap_destroy(d, "heap"));
	expect_no_heap("heap");
	EXPECT_EQ(before, state_of(d));
	EXPECT_EQ(-ENOENT, iovad_heap_destroy(d, "heap"));
}

TEST(Heap, OfSmallPages)
{
	TestDomain d(soft_conf());
	for (const uint64_t limit : {kLimit32, uint64_t{0x7fffffff}, kFirst + 64 * kMiB, kNoLimit})
		make_use_and_destroy(d, 4 * kMiB, kPage, limit);
}

TEST(Heap, OfHugePages)
{
	if (!huge_pages(8 * kMiB))
		GTEST_SKIP() << "no 4 huge pages of 2 MiB are free";
	TestDomain d(soft_conf());
	for (const uint64_t page : {uint64_t{0}, k2MiB})
		make_use_and_destroy(d, 8 * kMiB, page, kLimit32);
}

// A packet pool of DPDK's own, made on the heap's socket.
TEST(Heap, HoldsPools)
{
	TestDomain d(soft_conf());
	ASSERT_EQ(0, iovad_heap_create(d, "heap", 8 * kMiB, kPage, kLimit32));
	rte_mempool *pool = rte_pktmbuf_pool_create("pool", 256, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
						    rte_malloc_heap_get_socket("heap"));
	ASSERT_NE(nullptr, pool) << rte_strerror(rte_errno);
	rte_mempool_obj_iter(pool, [](rte_mempool *, void *domain, void *object, unsigned) {
		const auto *m = static_cast<rte_mbuf *>(object);
		EXPECT_TRUE(in_domain(static_cast<iovad_domain *>(domain), rte_mbuf_iova_get(m), m->buf_len, m->buf_addr, kLimit32));
	}, static_cast<iovad_domain *>(d));
	EXPECT_EQ(-EBUSY, iovad_heap_destroy(d, "heap"));
	rte_mempool_free(pool);
	EXPECT_EQ(0, iovad_heap_destroy(d, "heap"));
}

// A pool of ours there is mapped already, and keeps an address of its own.
TEST(Heap, HoldsPoolsOfTheDomain)
{
	TestDomain d(soft_conf());
	ASSERT_EQ(0, iovad_heap_create(d, "heap", 8 * kMiB, kPage, kLimit32));
	rte_mempool *pool = iovad_pktmbuf_pool_create("pool", 256, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
						      rte_malloc_heap_get_socket("heap"), d, kLimit32);
	EXPECT_EQ(nullptr, pool);
	EXPECT_EQ(EEXIST, rte_errno);
	rte_mempool_free(pool);
	EXPECT_EQ(0, iovad_heap_destroy(d, "heap"));
}

TEST(Heap, Sizes)
{
	TestDomain d(soft_conf());
	for (const uint64_t page : {uint64_t{1}, uint64_t{2048}, uint64_t{8192}, uint64_t{65536}, kMiB, 4 * kMiB, kNoLimit})
		expect_not_created(d, EINVAL, "heap", 8 * kMiB, page);
	for (const uint64_t len : {uint64_t{0}, uint64_t{1}, kPage - 1, kPage + 1, kMiB + 8})
		expect_not_created(d, EINVAL, "heap", len, kPage);
	expect_not_created(d, EINVAL, "heap", kMiB, 0);
	expect_not_created(d, EINVAL, "heap", 3 * kMiB, k2MiB);
	expect_not_created(d, EINVAL, "heap", k2MiB, k1GiB);
	expect_not_created(d, ENOMEM, "heap", uint64_t{1} << 46, k2MiB);
	expect_not_created(d, ENOMEM, "heap", uint64_t{1} << 50, kPage);
	expect_not_created(d, ENOMEM, "heap", uint64_t{1} << 46, k1GiB);
}

TEST(Heap, Names)
{
	TestDomain d(soft_conf());
	const std::string longest(IOVAD_HEAP_NAME_MAX, 'x'), too_long = longest + "x";
	expect_not_created(d, EINVAL, too_long.c_str(), kMiB, kPage);
	expect_not_created(d, EINVAL, "", kMiB, kPage);
	EXPECT_EQ(-EINVAL, iovad_heap_create(d, nullptr, kMiB, kPage, kLimit32));
	EXPECT_EQ(-EINVAL, iovad_heap_create(nullptr, "heap", kMiB, kPage, kLimit32));
	EXPECT_EQ(-EINVAL, iovad_heap_destroy(d, nullptr));
	EXPECT_EQ(-EINVAL, iovad_heap_destroy(nullptr, "heap"));
	EXPECT_EQ(-ENOENT, iovad_heap_destroy(d, "heap"));
	ASSERT_EQ(0, iovad_heap_create(d, longest.c_str(), kMiB, kPage, kLimit32));
	EXPECT_EQ(-ENOENT, iovad_heap_destroy(d, longest.substr(1).c_str()));
	EXPECT_EQ(0, iovad_heap_destroy(d, longest.c_str()));
}

TEST(Heap, DuplicatesAndOtherPeoplesHeaps)
{
	TestDomain d(soft_conf()), other(soft_conf());
	ASSERT_EQ(0, iovad_heap_create(d, "heap", kMiB, kPage, kLimit32));
	expect_not_created(d, EEXIST, "heap", kMiB, kPage);
	expect_not_created(other, EEXIST, "heap", kMiB, kPage);
	EXPECT_EQ(-ENOENT, iovad_heap_destroy(other, "heap"));
	ASSERT_EQ(0, rte_malloc_heap_create("foreign"));
	expect_not_created(d, EEXIST, "foreign", kMiB, kPage);
	EXPECT_EQ(-ENOENT, iovad_heap_destroy(d, "foreign"));
	EXPECT_EQ(0, rte_malloc_heap_destroy("foreign"));
	ASSERT_EQ(0, iovad_heap_create(other, "second", kMiB, kPage, kLimit32));
	EXPECT_EQ(0, iovad_heap_destroy(d, "heap"));
	EXPECT_EQ(0, iovad_heap_destroy(other, "second"));
}

TEST(Heap, Limits)
{
	TestDomain d(soft_conf());
	expect_not_created(d, ENOSPC, "heap", 4 * kMiB, kPage, kFirst + 4 * kMiB - 2);
	expect_not_created(d, EINVAL, "heap", 4 * kMiB, kPage, kFirst - 1);
	expect_not_created(d, EINVAL, "heap", 4 * kMiB, kPage, 0);
	ASSERT_EQ(0, iovad_heap_create(d, "heap", 4 * kMiB, kPage, kFirst + 4 * kMiB - 1));
	EXPECT_EQ(0, iovad_heap_destroy(d, "heap"));
}

TEST(Heap, DomainWithoutBackend)
{
	TestDomain d(conf_of(kFirst, kLimit32));
	expect_not_created(d, ENOTSUP, "heap", kMiB, kPage);
}

TEST(Heap, DomainIsBusyWhileItHasOne)
{
	TestDomain d(soft_conf());
	ASSERT_EQ(0, iovad_heap_create(d, "heap", kMiB, kPage, kLimit32));
	EXPECT_EQ(-EBUSY, iovad_domain_destroy(d));
	EXPECT_EQ(0, iovad_heap_destroy(d, "heap"));
}

// A buffer in it that was mapped on its own keeps it, as before, until it is unmapped.
TEST(Heap, IsBusyWhileABufferInItIsMapped)
{
	TestDomain d(soft_conf());
	ASSERT_EQ(0, iovad_heap_create(d, "heap", 4 * kMiB, kPage, kLimit32));
	const int socket = rte_malloc_heap_get_socket("heap");
	void *p = rte_malloc_socket("piece", 1000, 0, socket);
	ASSERT_NE(nullptr, p);
	rte_iova_t iova;
	ASSERT_EQ(0, iovad_map(d, p, 1000, kLimit32, IOVAD_TO_DEVICE, &iova));
	EXPECT_EQ(rte_malloc_virt2iova(p), iova);
	rte_free(p);
	const State before = state_of(d);
	EXPECT_EQ(-EBUSY, iovad_heap_destroy(d, "heap"));
	EXPECT_EQ(before, state_of(d));
	use_heap(d, "heap", kLimit32);
	EXPECT_EQ(0, iovad_unmap(d, iova, 1000));
	EXPECT_EQ(0, iovad_heap_destroy(d, "heap"));
}

TEST(Heap, AgainAndAgain)
{
	TestDomain d(soft_conf());
	const State before = state_of(d);
	for (int i = 0; i < 200; ++i) {
		ASSERT_EQ(0, iovad_heap_create(d, "heap", kMiB, kPage, kLimit32)) << i;
		ASSERT_EQ(0, iovad_heap_destroy(d, "heap")) << i;
	}
	EXPECT_EQ(before, state_of(d));
}

}  // namespace
}  // namespace iovad::test
