// SPDX-License-Identifier: BSD-3-Clause
// Pools of the driver "iovad" through DPDK's own functions, as an application uses them.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "iovad/iovad.h"
#include "iovad/iovad_dma.h"

namespace {

constexpr unsigned kMbufs = 1023;
constexpr uint64_t k4GiB = uint64_t{1} << 32;

struct PoolFree {
	void operator()(rte_mempool *pool) const { rte_mempool_free(pool); }
};
using Pool = std::unique_ptr<rte_mempool, PoolFree>;

struct DomainDestroy {
	void operator()(iovad_domain *d) const { iovad_domain_destroy(d); }
};
using Domain = std::unique_ptr<iovad_domain, DomainDestroy>;

iovad_domain *domain_named(const char *name) { return iovad_domain_lookup(name); }

Domain soft_domain(const char *name)
{
	iovad_domain_conf conf;
	iovad_domain_conf_init(&conf);
	conf.name = name;
	conf.backend = IOVAD_BACKEND_SOFT;
	return Domain(iovad_domain_create(&conf));
}

class MempoolDriverTest : public testing::Test {
protected:
	void SetUp() override { configure("backend=soft"); }
	void TearDown() override
	{
		EXPECT_EQ(domain_named("mempool"), nullptr) << "a pool's domain is left over";
		unsetenv("IOVAD_MEMPOOL");
	}

	static void configure(const char *settings) { setenv("IOVAD_MEMPOOL", settings, 1); }

	static Pool mbuf_pool(const char *name, unsigned cache = 0)
	{
		return Pool(rte_pktmbuf_pool_create_by_ops(name, kMbufs, cache, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
							   SOCKET_ID_ANY, "iovad"));
	}

	// With settings of its own. Null: rte_errno.
	static Pool pool_with(const char *name, const char *settings, unsigned flags = 0)
	{
		Pool pool(rte_mempool_create_empty(name, kMbufs, 2048, 0, 0, SOCKET_ID_ANY, flags));
		if (!pool)
			return nullptr;
		std::string text = settings;
		int error = rte_mempool_set_ops_byname(pool.get(), "iovad", text.data());
		if (error == 0)
			error = std::min(rte_mempool_populate_default(pool.get()), 0);
		if (error == 0)
			return pool;
		pool.reset();
		rte_errno = -error;
		return nullptr;
	}
};

void for_each_mbuf(const Pool &pool, void (*check)(rte_mempool *, void *, void *, unsigned), void *arg)
{
	EXPECT_EQ(rte_mempool_obj_iter(pool.get(), check, arg), pool->size);
}

struct Window {
	uint64_t first, last;
	std::vector<uint64_t> starts;
};

void check_mbuf(rte_mempool *, void *window, void *object, unsigned)
{
	auto *w = static_cast<Window *>(window);
	const auto *mbuf = static_cast<rte_mbuf *>(object);
	const uint64_t iova = rte_mbuf_iova_get(mbuf);
	ASSERT_GE(iova, w->first);
	ASSERT_LE(iova + mbuf->buf_len - 1, w->last);
	// EAL's own notion of the object's address agrees.
	ASSERT_EQ(rte_mempool_virt2iova(mbuf) + sizeof(rte_mbuf), iova);
	iovad_domain *d = domain_named("mempool");
	ASSERT_EQ(iovad_va2iova(d, mbuf->buf_addr, mbuf->buf_len), iova);
	ASSERT_EQ(iovad_iova2va(d, iova, mbuf->buf_len), mbuf->buf_addr);
	w->starts.push_back(iova);
}

void expect_mbufs_within(const Pool &pool, Window window)
{
	ASSERT_TRUE(pool) << rte_strerror(rte_errno);
	for_each_mbuf(pool, check_mbuf, &window);
	std::sort(window.starts.begin(), window.starts.end());
	for (size_t i = 1; i < window.starts.size(); ++i)
		ASSERT_GE(window.starts[i] - window.starts[i - 1], RTE_MBUF_DEFAULT_BUF_SIZE);
}

TEST_F(MempoolDriverTest, PutsEveryMbufBelowTheLimit)
{
	configure("backend=soft,limit=0xffffffff");
	expect_mbufs_within(mbuf_pool("limit"), {4096, k4GiB - 1, {}});
}

TEST_F(MempoolDriverTest, PutsEveryMbufIntoTheWindow)
{
	configure("backend=soft,first=0x40000000,last=0x4fffffff");
	expect_mbufs_within(mbuf_pool("window", 256), {0x40000000, 0x4fffffff, {}});
}

TEST_F(MempoolDriverTest, CountsNumbersAsCDoes)
{
	configure("backend=soft,first=1073741824,last=010000000000");
	EXPECT_FALSE(mbuf_pool("octal"));  // the window holds one granule
	configure("backend=soft,first=1073741824,last=0x7fffffff");
	expect_mbufs_within(mbuf_pool("decimal"), {0x40000000, 0x7fffffff, {}});
}

TEST_F(MempoolDriverTest, TheSettingsOfAPoolWinOverTheEnvironment)
{
	configure("backend=soft,limit=0xffffffff,domain=env");
	const Pool pool = pool_with("wins", "limit=0x7fffffff,domain=own");
	ASSERT_TRUE(pool) << rte_strerror(rte_errno);
	EXPECT_EQ(domain_named("env"), nullptr);
	iovad_domain *d = domain_named("own");
	ASSERT_NE(d, nullptr);
	const auto *chunk = STAILQ_FIRST(&pool->mem_list);
	EXPECT_LE(iovad_va2iova(d, chunk->addr, 1), 0x7fffffffu);
}

TEST_F(MempoolDriverTest, AnEmptySettingIsTheDefault)
{
	configure("");
	EXPECT_TRUE(mbuf_pool("empty"));
	unsetenv("IOVAD_MEMPOOL");
	EXPECT_TRUE(mbuf_pool("unset"));
}

TEST_F(MempoolDriverTest, RefusesBadSettingsAndLeavesNothing)
{
	for (const char *bad :
	     {"colour=red", "limit", "limit=", "limit=-1", "limit= -1", "limit=+1", "limit=1k", "limit=0x", "limit=99999999999999999999",
	      "limit=0", "first=x", "first=0xfff,last=9", "last=0xffffffffffffffff", "max_ranges=0xffffffffff", "max_ranges=all",
	      "backend=none", "backend=", "backend", "stats=2", "stats=yes", "stats", "domain=", "domain",
	      "domain=a23456789012345678901234", "=", "limit=1,limit",
	      "limit=domain=own", "=limit=4", "limit=4,", "domain=[a,b]", "domain=a[b"}) {
		configure((std::string("backend=soft,") + bad).c_str());
		rte_errno = 0;
		EXPECT_FALSE(mbuf_pool("bad")) << bad;
		EXPECT_EQ(rte_errno, EINVAL) << bad;
		configure("backend=soft");
		EXPECT_FALSE(pool_with("bad", bad)) << bad;
		EXPECT_EQ(rte_errno, EINVAL) << bad;
		EXPECT_EQ(rte_mempool_lookup("bad"), nullptr) << bad;
		EXPECT_EQ(domain_named("mempool"), nullptr) << bad;
	}
	EXPECT_TRUE(mbuf_pool("bad")) << "the name cannot be used again";
}

TEST_F(MempoolDriverTest, VfioWithoutAContainerIsRefused)
{
	if (rte_eal_has_pci())
		GTEST_SKIP() << "EAL looked for devices";
	EXPECT_FALSE(pool_with("vfio", "backend=vfio"));
	EXPECT_EQ(rte_errno, ENODEV);
}

TEST_F(MempoolDriverTest, UnmapsAndForgetsTheDomainWithTheLastPool)
{
	Pool a = mbuf_pool("a"), b = mbuf_pool("b");
	ASSERT_TRUE(a && b);
	iovad_domain *d = domain_named("mempool");
	ASSERT_NE(d, nullptr);
	iovad_domain_stats stats;
	iovad_domain_stats_get(d, &stats);
	const uint64_t both = stats.live_bytes;
	a.reset();
	iovad_domain_stats_get(d, &stats);
	EXPECT_LT(stats.live_bytes, both);
	EXPECT_GT(stats.live_bytes, 0u);
	b.reset();
	EXPECT_EQ(domain_named("mempool"), nullptr);
}

TEST_F(MempoolDriverTest, ManyPoolsShareADomain)
{
	std::vector<Pool> pools;
	for (unsigned i = 0; i < 64; ++i) {
		pools.push_back(Pool(rte_mempool_create_empty(("many" + std::to_string(i)).c_str(), 64, 100, 0, 0,
							      SOCKET_ID_ANY, 0)));
		ASSERT_TRUE(pools.back());
		ASSERT_EQ(rte_mempool_set_ops_byname(pools.back().get(), "iovad", nullptr), 0);
		ASSERT_EQ(rte_mempool_populate_default(pools.back().get()), 64);
	}
	// Not in the order of their creation.
	for (unsigned i = 0; i < 64; i += 2)
		pools[i].reset();
	iovad_domain *d = domain_named("mempool");
	ASSERT_NE(d, nullptr);
	EXPECT_EQ(iovad_verify(d, stderr), 0);
	pools.clear();
}

TEST_F(MempoolDriverTest, DomainsHaveAddressesOfTheirOwn)
{
	Pool a = pool_with("a", "domain=one,last=0xffffffff"), b = pool_with("b", "domain=two,last=0xffffffff");
	ASSERT_TRUE(a && b);
	iovad_domain *one = domain_named("one"), *two = domain_named("two");
	ASSERT_TRUE(one && two && one != two);
	void *chunk = STAILQ_FIRST(&a->mem_list)->addr;
	EXPECT_NE(iovad_va2iova(one, chunk, 1), RTE_BAD_IOVA);
	EXPECT_EQ(iovad_va2iova(two, chunk, 1), RTE_BAD_IOVA);
	a.reset();
	EXPECT_EQ(domain_named("one"), nullptr);
	EXPECT_EQ(domain_named("two"), two);
}

TEST_F(MempoolDriverTest, UsesTheApplicationsDomainAndLeavesItThere)
{
	configure("");
	Domain mine = soft_domain("mine");
	ASSERT_TRUE(mine);
	Pool pool = pool_with("guest", "domain=mine");
	ASSERT_TRUE(pool) << rte_strerror(rte_errno);
	EXPECT_NE(iovad_va2iova(mine.get(), STAILQ_FIRST(&pool->mem_list)->addr, 1), RTE_BAD_IOVA);
	EXPECT_EQ(iovad_domain_destroy(mine.get()), -EBUSY);
	pool.reset();
	EXPECT_EQ(domain_named("mine"), mine.get());
	iovad_domain_stats stats;
	iovad_domain_stats_get(mine.get(), &stats);
	EXPECT_EQ(stats.live_bytes, 0u);
	EXPECT_EQ(iovad_domain_destroy(mine.release()), 0);
}

TEST_F(MempoolDriverTest, RefusesSettingsThatADomainDoesNotHave)
{
	const Pool first = pool_with("first", "last=0xffffffff");
	ASSERT_TRUE(first);
	EXPECT_FALSE(pool_with("second", "last=0x7fffffff"));
	EXPECT_EQ(rte_errno, EEXIST);
	EXPECT_TRUE(pool_with("third", "last=0xffffffff,limit=0x7fffffff,stats=1"));
	const Domain mine = soft_domain("mine");
	EXPECT_FALSE(pool_with("fourth", "domain=mine,first=4096"));
	EXPECT_EQ(rte_errno, EEXIST);
}

TEST_F(MempoolDriverTest, APoolThatDoesNotFitLeavesNothing)
{
	EXPECT_FALSE(pool_with("large", "first=0x10000,last=0x1ffff"));
	EXPECT_EQ(rte_errno, ENOSPC) << "longer than the window";
	{
		std::vector<Pool> pools;  // how many fit depends on the size of a page
		do {
			pools.push_back(pool_with(("fits" + std::to_string(pools.size())).c_str(), "last=0xffffff"));
		} while (pools.back() && pools.size() < 10);
		EXPECT_EQ(rte_errno, ENOSPC);
		EXPECT_GT(pools.size(), 1u);
		EXPECT_EQ(rte_mempool_lookup(("fits" + std::to_string(pools.size() - 1)).c_str()), nullptr);
		EXPECT_EQ(iovad_verify(domain_named("mempool"), stderr), 0);
	}
	EXPECT_EQ(domain_named("mempool"), nullptr);
	EXPECT_EQ(rte_mempool_lookup("large"), nullptr);
	EXPECT_TRUE(pool_with("large", ""));
}

struct Memory {
	static constexpr size_t kBytes = 64 * 1024;
	char *at = static_cast<char *>(std::aligned_alloc(4096, kBytes));
	~Memory() { std::free(at); }
};

TEST_F(MempoolDriverTest, FailingMidwayLeavesNothing)
{
	Memory a, b;
	Pool pool(rte_mempool_create_empty("midway", kMbufs, 2048, 0, 0, SOCKET_ID_ANY, 0));
	ASSERT_TRUE(pool);
	std::string settings = "first=0x100000,last=0x117fff";  // 96 KiB: the second piece does not fit
	ASSERT_EQ(rte_mempool_set_ops_byname(pool.get(), "iovad", settings.data()), 0);
	ASSERT_GT(rte_mempool_populate_iova(pool.get(), a.at, a.kBytes, a.kBytes, nullptr, nullptr), 0);
	iovad_domain *d = domain_named("mempool");
	ASSERT_NE(d, nullptr);
	EXPECT_EQ(rte_mempool_populate_iova(pool.get(), b.at, b.kBytes, b.kBytes, nullptr, nullptr), -ENOSPC);
	EXPECT_NE(iovad_va2iova(d, a.at, a.kBytes), RTE_BAD_IOVA);
	EXPECT_EQ(iovad_va2iova(d, b.at, b.kBytes), RTE_BAD_IOVA);
	pool.reset();
	EXPECT_EQ(domain_named("mempool"), nullptr);
}

TEST_F(MempoolDriverTest, NothingIsMappedWhenMemoryGoesBack)
{
	struct GoneBack {
		iovad_domain *domain;
		rte_iova_t iova;
	};
	configure("");
	const Memory memory;
	const Domain domain = soft_domain("back");
	GoneBack gone{domain.get(), 0};
	Pool pool(rte_mempool_create_empty("back", 16, 2048, 0, 0, SOCKET_ID_ANY, 0));
	ASSERT_TRUE(pool && domain);
	std::string settings = "domain=back";
	ASSERT_EQ(rte_mempool_set_ops_byname(pool.get(), "iovad", settings.data()), 0);
	const auto goes = [](rte_mempool_memhdr *piece, void *to) {
		auto *g = static_cast<GoneBack *>(to);
		g->iova = iovad_va2iova(g->domain, piece->addr, 1);
	};
	ASSERT_GT(rte_mempool_populate_iova(pool.get(), memory.at, 0, memory.kBytes, goes, &gone), 0);
	ASSERT_NE(iovad_va2iova(domain.get(), memory.at, 1), RTE_BAD_IOVA);
	pool.reset();
	EXPECT_EQ(gone.iova, RTE_BAD_IOVA);
}

TEST_F(MempoolDriverTest, APieceTooSmallForAnObjectIsNotKept)
{
	Memory memory;
	Pool pool(rte_mempool_create_empty("small", 16, 8192, 0, 0, SOCKET_ID_ANY, 0));
	ASSERT_TRUE(pool);
	ASSERT_EQ(rte_mempool_set_ops_byname(pool.get(), "iovad", nullptr), 0);
	EXPECT_EQ(rte_mempool_populate_iova(pool.get(), memory.at, 0, 4096, nullptr, nullptr), 0);
	EXPECT_EQ(iovad_va2iova(domain_named("mempool"), memory.at, 1), RTE_BAD_IOVA);
	// Its address may be used again, by a piece that is large enough.
	EXPECT_GT(rte_mempool_populate_iova(pool.get(), memory.at, 0, memory.kBytes, nullptr, nullptr), 0);
}

TEST_F(MempoolDriverTest, GivesEachObjectOnceAndSaysWhenThereAreNoMore)
{
	for (const unsigned flags : {0u, 0u + RTE_MEMPOOL_F_SP_PUT + RTE_MEMPOOL_F_SC_GET}) {
		const Pool pool = pool_with("objects", "", flags);
		ASSERT_TRUE(pool) << rte_strerror(rte_errno);
		EXPECT_EQ(rte_mempool_avail_count(pool.get()), kMbufs);
		std::vector<void *> objects(kMbufs + 1);
		EXPECT_EQ(rte_mempool_get_bulk(pool.get(), objects.data(), kMbufs + 1), -ENOBUFS);
		EXPECT_EQ(rte_mempool_avail_count(pool.get()), kMbufs) << "all or nothing";
		for (unsigned i = 0; i < kMbufs; ++i)
			ASSERT_EQ(rte_mempool_get(pool.get(), &objects[i]), 0);
		EXPECT_EQ(rte_mempool_get(pool.get(), &objects[kMbufs]), -ENOBUFS);
		EXPECT_EQ(rte_mempool_avail_count(pool.get()), 0u);
		objects.pop_back();
		rte_mempool_put_bulk(pool.get(), objects.data(), kMbufs);
		EXPECT_TRUE(rte_mempool_full(pool.get()));
		std::sort(objects.begin(), objects.end());
		EXPECT_EQ(std::unique(objects.begin(), objects.end()), objects.end());
		rte_mempool_audit(pool.get());
	}
}

struct Crowd {
	rte_mempool *pool;
	std::atomic<unsigned> errors{0}, finished{0};

	// rte_eal_wait_lcore() said again where ThreadSanitizer sees it: all that they did came before.
	void wait(unsigned lcores) const
	{
		while (finished < lcores)
			std::this_thread::yield();
	}
};

// An object holds the number of the lcore that owns it.
int take_and_give(void *arg)
{
	auto &crowd = *static_cast<Crowd *>(arg);
	const uint64_t me = rte_lcore_id() + 1;
	void *objects[32];
	for (unsigned round = 0; round < 5000; ++round) {
		const unsigned n = 1 + round % 32;
		if (rte_mempool_get_bulk(crowd.pool, objects, n) != 0)
			continue;
		for (unsigned i = 0; i < n; ++i) {
			auto *owner = static_cast<std::atomic<uint64_t> *>(objects[i]);
			crowd.errors += owner->exchange(me) != 0;
		}
		for (unsigned i = 0; i < n; ++i) {
			auto *owner = static_cast<std::atomic<uint64_t> *>(objects[i]);
			crowd.errors += owner->exchange(0) != me;
		}
		rte_mempool_put_bulk(crowd.pool, objects, n);
	}
	++crowd.finished;
	return 0;
}

TEST_F(MempoolDriverTest, NoObjectHasTwoOwnersOnSeveralLcores)
{
	const Pool pool = pool_with("crowd", "");
	ASSERT_TRUE(pool);
	for_each_mbuf(pool, [](rte_mempool *, void *, void *object, unsigned) { new (object) std::atomic<uint64_t>(0); },
		      nullptr);
	Crowd crowd{pool.get()};
	rte_eal_mp_remote_launch(take_and_give, &crowd, CALL_MAIN);
	rte_eal_mp_wait_lcore();
	crowd.wait(rte_lcore_count());
	EXPECT_EQ(crowd.errors, 0u);
	EXPECT_TRUE(rte_mempool_full(pool.get()));
}

// Each of the lcores takes up to its share: whatever the others do, there is enough. What
// one puts back the others must find, wherever the driver keeps it.
int take_a_share(void *arg)
{
	auto &crowd = *static_cast<Crowd *>(arg);
	void *objects[kMbufs];
	const unsigned share = kMbufs / rte_lcore_count();
	for (unsigned round = 0; round < 5000; ++round) {
		const unsigned n = round % 2 ? share : 1 + round % share;
		if (rte_mempool_get_bulk(crowd.pool, objects, n) == 0)
			rte_mempool_put_bulk(crowd.pool, objects, n);
		else
			++crowd.errors;
	}
	++crowd.finished;
	return 0;
}

TEST_F(MempoolDriverTest, AGetNeverFailsWhileThereAreEnough)
{
	const Pool pool = pool_with("shares", "");
	ASSERT_TRUE(pool);
	Crowd crowd{pool.get()};
	rte_eal_mp_remote_launch(take_a_share, &crowd, CALL_MAIN);
	rte_eal_mp_wait_lcore();
	crowd.wait(rte_lcore_count());
	EXPECT_EQ(crowd.errors, 0u);
	EXPECT_TRUE(rte_mempool_full(pool.get()));
}

int take_all(void *arg)
{
	auto &crowd = *static_cast<Crowd *>(arg);
	void *objects[kMbufs];
	if (rte_mempool_get_bulk(crowd.pool, objects, kMbufs) != 0)
		++crowd.errors;
	else
		rte_mempool_put_bulk(crowd.pool, objects, kMbufs);
	++crowd.finished;
	return 0;
}

TEST_F(MempoolDriverTest, EachLcoreFindsWhatAnotherPutBack)
{
	const Pool pool = pool_with("around", "");
	ASSERT_TRUE(pool);
	Crowd crowd{pool.get()};
	unsigned lcore, turns = 0;
	RTE_LCORE_FOREACH_WORKER(lcore) {
		take_all(&crowd);
		rte_eal_remote_launch(take_all, &crowd, lcore);
		rte_eal_wait_lcore(lcore);
		crowd.wait(turns += 2);
	}
	std::thread(take_all, &crowd).join();  // without an lcore id
	EXPECT_EQ(crowd.errors, 0u);
}

TEST_F(MempoolDriverTest, SurvivesWhatIsPutBackTwice)
{
	const Pool pool = pool_with("twice", "");
	ASSERT_TRUE(pool);
	void *objects[kMbufs];
	ASSERT_EQ(rte_mempool_get_bulk(pool.get(), objects, kMbufs), 0);
	for (unsigned times = 0; times < 4; ++times)
		for (void *object : objects)
			rte_mempool_ops_enqueue_bulk(pool.get(), &object, 1);
	for (unsigned times = 0; times < 4; ++times)
		rte_mempool_ops_dequeue_bulk(pool.get(), objects, kMbufs);
}

// Wherever it is in a call, with the lock of a home or not; what it has in its hands is lost.
TEST_F(MempoolDriverTest, AProcessThatIsKilledInACallStopsNobody)
{
	const Pool pool = mbuf_pool("killed");
	ASSERT_NE(pool, nullptr);
	const auto get_and_put = [&] {
		void *object;
		if (rte_mempool_get(pool.get(), &object) != 0)
			return false;
		rte_mempool_put(pool.get(), object);
		return true;
	};
	// Killed after so many instructions. False: it came to its end before.
	const auto kill_after = [&](unsigned most, unsigned &steps) {
		const pid_t pid = fork();
		if (pid == 0) {
			ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
			raise(SIGSTOP);
			_exit(get_and_put() ? 0 : 1);
		}
		int status;
		waitpid(pid, &status, 0);
		for (steps = 0; steps < most && WIFSTOPPED(status); ++steps) {
			ptrace(PTRACE_SINGLESTEP, pid, nullptr, nullptr);
			waitpid(pid, &status, 0);
		}
		if (!WIFSTOPPED(status))
			return false;
		kill(pid, SIGKILL);
		waitpid(pid, nullptr, 0);
		return true;
	};
	const unsigned before = rte_mempool_avail_count(pool.get());
	unsigned all, steps, killed = 0;
	ASSERT_FALSE(kill_after(1'000'000, all));
	for (unsigned most = 1; most < all && kill_after(most, steps); most += 1 + all / 100, ++killed)
		EXPECT_TRUE(get_and_put()) << "after " << most << " instructions";
	EXPECT_GT(killed, 30u);
	EXPECT_LE(rte_mempool_avail_count(pool.get()), before);
	EXPECT_GE(rte_mempool_avail_count(pool.get()) + killed, before);
}

TEST_F(MempoolDriverTest, TheStockDriversKeepTheirPlaces)
{
	const auto &table = rte_mempool_ops_table;
	ASSERT_GT(table.num_ops, 1u);
	EXPECT_STREQ(table.ops[table.num_ops - 1].name, "iovad");
	for (unsigned i = 0; i < table.num_ops; ++i) {
		for (unsigned j = i + 1; j < table.num_ops; ++j)
			EXPECT_STRNE(table.ops[i].name, table.ops[j].name) << "registered twice";
	}
}

}  // namespace
