// SPDX-License-Identifier: BSD-3-Clause
// Packet pools: where their mbufs are for devices, what is refused, and that nothing is left.
#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_memzone.h>

#include "../test_domain.h"
#include "iovad/iovad_ethdev.h"

namespace iovad::test {
namespace {

constexpr uint64_t kFirst = uint64_t{1} << 20;

iovad_domain_conf soft_conf()
{
	iovad_domain_conf conf = conf_of(kFirst, uint64_t{1} << 40);
	conf.backend = IOVAD_BACKEND_SOFT;
	conf.max_ranges = 4096;
	return conf;
}

struct Shape {
	unsigned n = 512, cache = 32;
	uint16_t priv = 0, room = RTE_MBUF_DEFAULT_BUF_SIZE;
	int socket = SOCKET_ID_ANY;
};

rte_mempool *create(iovad_domain *d, const char *name, uint64_t limit, const Shape &s = {})
{
	return iovad_pktmbuf_pool_create(name, s.n, s.cache, s.priv, s.room, s.socket, d, limit);
}

// It has the tables that pools need: those it keeps.
class SoftDomain : public TestDomain {
public:
	SoftDomain() : TestDomain(soft_conf()) { rte_mempool_free(create(*this, "first", kNoLimit)); }
};

// What EAL has handed out: zones, and bytes on all its heaps.
struct EalUse {
	unsigned zones = 0;
	size_t bytes = 0;

	EalUse()
	{
		rte_memzone_walk([](const rte_memzone *, void *self) { ++static_cast<EalUse *>(self)->zones; }, this);
		rte_malloc_socket_stats stats;
		for (int socket = 0; socket < RTE_MAX_NUMA_NODES; ++socket) {
			if (rte_malloc_get_socket_stats(socket, &stats) == 0)
				bytes += stats.heap_allocsz_bytes;
		}
	}
	bool operator==(const EalUse &) const = default;
	friend std::ostream &operator<<(std::ostream &out, const EalUse &u)
	{
		return out << u.zones << " zones, " << u.bytes << " bytes";
	}
};

struct Walk {
	iovad_domain *d;
	uint64_t limit;
	unsigned good = 0, bad = 0;

	static void mbuf(rte_mempool *, void *self, void *object, unsigned)
	{
		auto &walk = *static_cast<Walk *>(self);
		const auto *m = static_cast<rte_mbuf *>(object);
		const rte_iova_t iova = rte_mbuf_iova_get(m);
		const bool good = iova >= kFirst && iova + m->buf_len - 1 <= walk.limit &&
				  iovad_iova2va(walk.d, iova, m->buf_len) == m->buf_addr &&
				  iovad_va2iova(walk.d, m->buf_addr, m->buf_len) == iova;
		++(good ? walk.good : walk.bad);
	}
};

void expect_in_window(iovad_domain *d, rte_mempool *pool, uint64_t limit, unsigned n)
{
	Walk walk{d, limit};
	rte_mempool_obj_iter(pool, Walk::mbuf, &walk);
	EXPECT_EQ(n, walk.good);
	EXPECT_EQ(0u, walk.bad);
	EXPECT_EQ(n, rte_mempool_avail_count(pool));
}

void expect_not_created(iovad_domain *d, int error, const char *name, uint64_t limit, const Shape &shape = {})
{
	const State before = state_of(d);
	const EalUse use;
	rte_errno = 0;
	EXPECT_EQ(nullptr, create(d, name, limit, shape));
	EXPECT_EQ(error, rte_errno);
	EXPECT_EQ(before, state_of(d));
	EXPECT_EQ(use, EalUse());
	EXPECT_EQ(nullptr, rte_mempool_lookup(name));
}

TEST(PktmbufPool, EveryMbufLiesUnderTheLimitAndTranslatesBack)
{
	SoftDomain d;
	for (const uint64_t limit : {kLimit32, k4GiB / 2 - 1, uint64_t{0x123456789}, kNoLimit}) {
		const State before = state_of(d);
		const EalUse use;
		rte_mempool *pool = create(d, "pool", limit);
		ASSERT_NE(nullptr, pool) << rte_strerror(rte_errno);
		expect_in_window(d, pool, limit, 512);
		EXPECT_GE(stats_of(d).live_bytes, 512u * RTE_MBUF_DEFAULT_BUF_SIZE);
		rte_mempool_free(pool);
		EXPECT_EQ(before, state_of(d));
		EXPECT_EQ(use, EalUse());
	}
}

TEST(PktmbufPool, FreeUnmaps)
{
	SoftDomain d;
	rte_mempool *pool = create(d, "pool", kLimit32);
	ASSERT_NE(nullptr, pool);
	rte_mbuf *m = rte_pktmbuf_alloc(pool);
	ASSERT_NE(nullptr, m);
	const rte_iova_t iova = rte_mbuf_iova_get(m);
	const void *va = m->buf_addr;
	EXPECT_EQ(va, iovad_iova2va(d, iova, 1));
	rte_pktmbuf_free(m);
	rte_mempool_free(pool);
	EXPECT_EQ(nullptr, iovad_iova2va(d, iova, 1));
	EXPECT_EQ(RTE_BAD_IOVA, iovad_va2iova(d, va, 1));
	EXPECT_EQ(stats_of(d).backend_maps, stats_of(d).backend_unmaps);
}

TEST(PktmbufPool, MbufsAreThoseThatDpdkMakes)
{
	SoftDomain d;
	const Shape shape{.n = 100, .cache = 0, .priv = 64, .room = 1000};
	rte_mempool *pool = create(d, "pool", kLimit32, shape), *dpdk = rte_pktmbuf_pool_create("dpdk", 100, 0, 64, 1000, SOCKET_ID_ANY);
	ASSERT_NE(nullptr, pool);
	ASSERT_NE(nullptr, dpdk);
	EXPECT_EQ(rte_pktmbuf_data_room_size(dpdk), rte_pktmbuf_data_room_size(pool));
	EXPECT_EQ(rte_pktmbuf_priv_size(dpdk), rte_pktmbuf_priv_size(pool));
	EXPECT_EQ(dpdk->elt_size, pool->elt_size);
	EXPECT_EQ(dpdk->flags, pool->flags);
	EXPECT_EQ(dpdk->ops_index, pool->ops_index);
	rte_mbuf *m = rte_pktmbuf_alloc(pool);
	ASSERT_NE(nullptr, m);
	EXPECT_EQ(1000, m->buf_len);
	EXPECT_EQ(64, m->priv_size);
	EXPECT_EQ(pool, m->pool);
	const char *why;
	EXPECT_EQ(0, rte_mbuf_check(m, 1, &why)) << why;
	// Attached to other memory and detached, it finds its own address again.
	const rte_iova_t iova = rte_mbuf_iova_get(m);
	char memory[512];
	uint16_t room = sizeof memory;
	auto *info = rte_pktmbuf_ext_shinfo_init_helper(memory, &room, [](void *, void *) {}, nullptr);
	rte_pktmbuf_attach_extbuf(m, memory, 0x1000, room, info);
	rte_pktmbuf_detach_extbuf(m);
	EXPECT_EQ(iova, rte_mbuf_iova_get(m));
	rte_pktmbuf_free(m);
	rte_mempool_free(pool);
	rte_mempool_free(dpdk);
}

// Larger than a page, and so small that many share one.
TEST(PktmbufPool, ElementsOfAnySize)
{
	SoftDomain d;
	for (const uint16_t room : {0, 1, 127, 1024, 2048, 3968, 4096, 9216, 65535}) {
		rte_mempool *pool = create(d, "pool", kLimit32, {.n = 65, .cache = 8, .priv = 8, .room = room});
		ASSERT_NE(nullptr, pool) << room << ": " << rte_strerror(rte_errno);
		EXPECT_EQ(65u, rte_mempool_avail_count(pool));
		if (room > 0)
			expect_in_window(d, pool, kLimit32, 65);
		rte_mempool_free(pool);
	}
	rte_mempool *one = create(d, "pool", kLimit32, {.n = 1, .cache = 0});
	ASSERT_NE(nullptr, one);
	expect_in_window(d, one, kLimit32, 1);
	rte_mempool_free(one);
}

// Holes in EAL's memory, each too small for the pool.
class Holes {
public:
	Holes()
	{
		for (void *p; (p = rte_malloc("holes", kHole, 4096)) != nullptr;)
			pieces_.push_back(p);
		for (size_t i = 1; i < pieces_.size(); i += 2) {
			rte_free(pieces_[i]);
			pieces_[i] = nullptr;
		}
	}
	~Holes()
	{
		for (void *p : pieces_)
			rte_free(p);
	}
	Holes(const Holes &) = delete;
	Holes &operator=(const Holes &) = delete;
	void fill()
	{
		while (void *p = rte_malloc("holes", kPage, 0))
			pieces_.push_back(p);
	}
	size_t bytes() const { return pieces_.size() / 2 * kHole; }

private:
	static constexpr size_t kHole = size_t{2} << 20;
	std::vector<void *> pieces_;
};

// Only where EAL's memory does not grow can it be scattered.
class ScatteredPktmbufPool : public testing::Test {
protected:
	void SetUp() override
	{
		if (rte_eal_has_hugepages())
			GTEST_SKIP() << "with huge pages EAL's memory grows and shrinks";
	}
};

TEST_F(ScatteredPktmbufPool, HasSeveralChunks)
{
	SoftDomain d;
	const State before = state_of(d);
	const EalUse use;
	{
		const Holes holes;
		rte_mempool *pool = create(d, "pool", kLimit32, {.n = 2000});
		ASSERT_NE(nullptr, pool) << rte_strerror(rte_errno);
		EXPECT_GT(pool->nb_mem_chunks, 1u);
		expect_in_window(d, pool, kLimit32, 2000);
		rte_mempool_free(pool);
	}
	EXPECT_EQ(before, state_of(d));
	EXPECT_EQ(use, EalUse());
}

TEST_F(ScatteredPktmbufPool, NoMemoryAfterSomeChunks)
{
	SoftDomain d;
	const Holes holes;
	const uint64_t maps = stats_of(d).backend_maps;
	const auto n = static_cast<unsigned>(holes.bytes() / 2048);
	// Of EAL's memory the domain keeps tables for so many pieces.
	const State before = state_of(d);
	rte_errno = 0;
	EXPECT_EQ(nullptr, create(d, "pool", kLimit32, {.n = n}));
	EXPECT_EQ(ENOMEM, rte_errno);
	EXPECT_EQ(before, state_of(d));
	EXPECT_GT(stats_of(d).backend_maps, maps + 1);
	EXPECT_EQ(stats_of(d).backend_maps, stats_of(d).backend_unmaps);
}

TEST_F(ScatteredPktmbufPool, LimitReachedAfterSomeChunks)
{
	SoftDomain d;
	const Holes holes;
	const uint64_t maps = stats_of(d).backend_maps;
	expect_not_created(d, ENOSPC, "pool", kFirst + (uint64_t{7} << 20) - 1, {.n = 4000});
	EXPECT_GT(stats_of(d).backend_maps, maps);
	EXPECT_EQ(stats_of(d).backend_maps, stats_of(d).backend_unmaps);
}

TEST_F(ScatteredPktmbufPool, NoMemory)
{
	SoftDomain d;
	Holes holes;
	holes.fill();
	const State before = state_of(d);
	rte_errno = 0;
	EXPECT_EQ(nullptr, create(d, "pool", kLimit32));
	EXPECT_EQ(ENOMEM, rte_errno);
	EXPECT_EQ(before, state_of(d));
}

TEST(PktmbufPool, TooManyMbufs)
{
	SoftDomain d;
	// 440 GiB, which fit the window: it is memory that runs out, however many huge pages there are.
	expect_not_created(d, ENOMEM, "pool", kNoLimit, {.n = 200000000});
}

TEST(PktmbufPool, LimitTooSmall)
{
	SoftDomain d;
	expect_not_created(d, ENOSPC, "pool", kFirst + 64 * kPage - 1);
	expect_not_created(d, EINVAL, "pool", kFirst - 1);
	expect_not_created(d, EINVAL, "pool", 0);
}

TEST(PktmbufPool, Names)
{
	SoftDomain d;
	const std::string longest(RTE_MEMPOOL_NAMESIZE - 1, 'x'), too_long = longest + "x";
	expect_not_created(d, ENAMETOOLONG, too_long.c_str(), kLimit32);
	expect_not_created(d, ENAMETOOLONG, std::string(200, 'x').c_str(), kLimit32);
	rte_mempool *pool = create(d, longest.c_str(), kLimit32);
	ASSERT_NE(nullptr, pool) << rte_strerror(rte_errno);
	EXPECT_EQ(pool, rte_mempool_lookup(longest.c_str()));
	const State before = state_of(d);
	rte_errno = 0;
	EXPECT_EQ(nullptr, create(d, longest.c_str(), kLimit32));
	EXPECT_EQ(EEXIST, rte_errno);
	EXPECT_EQ(before, state_of(d));
	expect_in_window(d, pool, kLimit32, 512);
	rte_mempool_free(pool);
}

TEST(PktmbufPool, BadArguments)
{
	SoftDomain d;
	for (const uint16_t priv : {1, 7, 9, 63})
		expect_not_created(d, EINVAL, "pool", kLimit32, {.priv = priv});
	expect_not_created(d, EINVAL, "pool", kLimit32, {.n = 0});
	expect_not_created(d, EINVAL, "pool", kLimit32, {.n = 16, .cache = 32});
	expect_not_created(d, EINVAL, "pool", kLimit32, {.cache = RTE_MEMPOOL_CACHE_MAX_SIZE + 1});
	rte_errno = 0;
	EXPECT_EQ(nullptr, create(nullptr, "pool", kLimit32));
	EXPECT_EQ(EINVAL, rte_errno);
	rte_errno = 0;
	EXPECT_EQ(nullptr, create(d, nullptr, kLimit32));
	EXPECT_EQ(EINVAL, rte_errno);
}

TEST(PktmbufPool, DomainWithoutBackend)
{
	TestDomain d(conf_of(kFirst, kLimit32));
	expect_not_created(d, ENOTSUP, "pool", kLimit32);
}

TEST(PktmbufPool, DomainIsBusyWhileItHasPools)
{
	SoftDomain d;
	rte_mempool *a = create(d, "a", kLimit32), *b = create(d, "b", kLimit32);
	ASSERT_TRUE(a && b);
	EXPECT_EQ(-EBUSY, iovad_domain_destroy(d));
	expect_in_window(d, a, kLimit32, 512);
	rte_mempool_free(a);
	EXPECT_EQ(-EBUSY, iovad_domain_destroy(d));
	expect_in_window(d, b, kLimit32, 512);
	rte_mempool_free(b);
}

// What is still mapped must not become other people's memory.
TEST(PktmbufPool, MemoryThatIsStillMappedStaysReserved)
{
	SoftDomain d;
	const EalUse use;
	rte_mempool *pool = create(d, "pool", kLimit32);
	ASSERT_NE(nullptr, pool);
	const auto *chunk = STAILQ_FIRST(&pool->mem_list);
	void *va = chunk->addr;
	const size_t len = chunk->len;
	rte_iova_t iova;
	ASSERT_EQ(0, iovad_map(d, va, 100, kLimit32, IOVAD_FROM_DEVICE, &iova));
	rte_mempool_free(pool);
	EXPECT_EQ(va, iovad_iova2va(d, iova, 100));
	EXPECT_EQ(use.zones + 1, EalUse().zones);
	const rte_memzone *zone = rte_memzone_lookup("MP_pool_0");
	ASSERT_NE(nullptr, zone);
	EXPECT_EQ(0, iovad_unmap(d, iova, 100));
	EXPECT_EQ(0, iovad_region_remove(d, va, len));
	EXPECT_EQ(0, rte_memzone_free(zone));
}

}  // namespace
}  // namespace iovad::test
