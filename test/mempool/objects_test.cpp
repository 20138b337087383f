// SPDX-License-Identifier: BSD-3-Clause
// Objects, taken and put back, by one lcore and by several.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <new>
#include <thread>
#include <vector>

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_launch.h>
#include <rte_lcore.h>

#include "driver_fixture.h"

namespace iovad::test {

namespace {

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

}  // namespace iovad::test
