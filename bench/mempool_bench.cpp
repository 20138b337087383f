// SPDX-License-Identifier: BSD-3-Clause
// The mempool driver "iovad" beside DPDK's "ring_mp_mc" and "stack": what pools of all three
// cost through rte_mempool, with the cache that DPDK puts in front of a driver and without.
//
// Names are <case>/<driver>; the counter ns is per object, out and back together.
//   pair            one out, the same one back
//   bulk:32         32 out in one call, back in one call
//   touched:32      the same, each object (of a packet's size) written to between
//   handover        out here, through a ring, back on a second lcore, by 32
//   ...:cached      with a cache of 512 objects per lcore: the driver is hardly called
//   ...:two_lcores  while a second lcore does the same with the same pool
#include "bench_main.h"
#include "eal_session.h"
#include "neighbour.h"
#include "pairs.h"
#include "stopwatch.h"

#include <benchmark/benchmark.h>

#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mempool.h>
#include <rte_pause.h>
#include <rte_ring.h>

#include <dlfcn.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace iovad::bench;

constexpr unsigned kObjects = 16383;
constexpr unsigned kRound = 1024;  // objects per reading of the clock
constexpr unsigned kPacketBytes = 2176;

struct PoolFree {
	void operator()(rte_mempool *pool) const { rte_mempool_free(pool); }
};
using Pool = std::unique_ptr<rte_mempool, PoolFree>;

Pool make_pool(const char *driver, unsigned bytes, unsigned cache)
{
	static unsigned number;
	const std::string name = "bench" + std::to_string(number++);
	Pool pool(rte_mempool_create_empty(name.c_str(), kObjects, bytes, cache, 0, SOCKET_ID_ANY, 0));
	if (!pool)
		throw std::runtime_error(std::string("no pool: ") + rte_strerror(rte_errno));
	int error = rte_mempool_set_ops_byname(pool.get(), driver, nullptr);
	if (error == 0)
		error = rte_mempool_populate_default(pool.get());
	if (error < 0)
		throw std::runtime_error(std::string(driver) + ": " + rte_strerror(-error));
	return pool;
}

using Work = int (*)(rte_mempool *, unsigned);

void measure(benchmark::State &state, rte_mempool *pool, Work work)
{
	// What the case before left in DPDK's cache, an odd number for one, decides where bulks are
	// copied from: up to a fifth, whatever the driver.
	rte_mempool_cache_flush(nullptr, pool);
	Stopwatch watch;
	int failed = 0;
	for (auto _ : state)
		state.SetIterationTime(watch.time(kRound, [&] { failed |= work(pool, kRound); }));
	if (failed)
		state.SkipWithError("a pool had no object left");
	state.counters["ns"] = watch.ns_per_operation();
}

void add(const std::string &name, const char *driver, rte_mempool *pool, Work work)
{
	benchmark::RegisterBenchmark((name + "/" + driver).c_str(), [=](benchmark::State &state) {
		measure(state, pool, work);
	})->UseManualTime();
	if (rte_lcore_count() < 2)
		return;
	benchmark::RegisterBenchmark((name + ":two_lcores/" + driver).c_str(), [=](benchmark::State &state) {
		Neighbour neighbour([=] { work(pool, kRound); });
		measure(state, pool, work);
	})->UseManualTime();
}

void handover(benchmark::State &state, rte_mempool *pool)
{
	rte_ring *ring = rte_ring_create("handover", 1024, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (!ring) {
		state.SkipWithError("rte_ring_create failed");
		return;
	}
	const auto drain = [=] {
		void *objects[32];
		const unsigned n = rte_ring_sc_dequeue_burst(ring, objects, 32, nullptr);
		if (n != 0)
			rte_mempool_put_bulk(pool, objects, n);
		return n;
	};
	{
		Neighbour neighbour(drain);
		Stopwatch watch;
		int failed = 0;
		for (auto _ : state)
			state.SetIterationTime(watch.time(kRound, [&] {
				void *objects[32];
				for (unsigned done = 0; done < kRound; done += 32) {
					failed |= rte_mempool_get_bulk(pool, objects, 32);
					while (!rte_ring_sp_enqueue_bulk(ring, objects, 32, nullptr))
						rte_pause();
				}
			}));
		if (failed)
			state.SkipWithError("a pool had no object left");
		state.counters["ns"] = watch.ns_per_operation();
	}
	while (drain())
		;
	rte_ring_free(ring);
}

void run()
{
	if (!dlopen(IOVAD_PLUGIN, RTLD_NOW))
		throw std::runtime_error(dlerror());
	EalSession eal;
	benchmark::AddCustomContext("lcores", eal.cpus());
	benchmark::AddCustomContext("memory", eal.huge_pages() ? "huge pages" : "no huge pages (--no-huge)");
	benchmark::AddCustomContext("drivers", "mempool");
	std::vector<Pool> pools;
	for (const char *driver : {"ring_mp_mc", "stack", "iovad"}) {
		for (const unsigned cache : {0u, 512u}) {
			const std::string suffix = cache ? ":cached" : "";
			rte_mempool *pool = pools.emplace_back(make_pool(driver, 64, cache)).get();
			add("pair" + suffix, driver, pool, pairs_mempool);
			add("bulk:32" + suffix, driver, pool, bulks_mempool);
			if (rte_lcore_count() > 1)
				benchmark::RegisterBenchmark(("handover" + suffix + "/" + driver).c_str(), [=](auto &state) {
					handover(state, pool);
				})->UseManualTime();
			pool = pools.emplace_back(make_pool(driver, kPacketBytes, cache)).get();
			add("touched:32" + suffix, driver, pool, touched_bulks_mempool);
		}
	}
	benchmark::RunSpecifiedBenchmarks();
}

}  // namespace

int main(int argc, char **argv) { return iovad::bench::bench_main(argc, argv, run); }
