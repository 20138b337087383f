// SPDX-License-Identifier: BSD-3-Clause
// The data path: one page from this lcore's cache and back, through the C API and the
// shared library, beside one object from a mempool with a cache of 512 and back. The
// mempool's `pair` is the unit that ratios are stated in: both do the same work of
// keeping a stack per lcore, one of pointers, one of addresses.
//
// Names are <case>/<contestant>; the counter ns is per allocation and free together.
//   pair      one out, the same one back
//   burst:N   N out one by one, then N back one by one
//   bulk:32   32 out in one call, back in one call
//   live:N    N live, one of them at random back and another one out
//   live:N:bulk  the same by 32
//   lcores:N  as pair, while N - 1 other lcores do the same: N is 2, 4 .. as far as there are so many
//   handover  out here in bursts of 32, through a ring, back on a second lcore; the counter exchanges
//             is how often addresses came from the depot or the tree, which have locks, per address;
//             contestant ring: the same without an allocator
#include "bench_main.h"
#include "eal_session.h"
#include "neighbour.h"
#include "pairs.h"
#include "stopwatch.h"

#include <iovad/iovad.h>

#include <benchmark/benchmark.h>

#include <rte_lcore.h>
#include <rte_mempool.h>
#include <rte_pause.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace iovad::bench;

constexpr unsigned kBurst = 32;
constexpr unsigned kRound = 1024; // objects per reading of the clock
constexpr unsigned kBulks = kRound * kBurst; // the same in bulks, which take a tenth of the time
constexpr std::uint64_t kPage = 4096;

std::string unique_name(const char *prefix)
{
	static unsigned number;
	return prefix + std::to_string(number++);
}

class Mempool {
public:
	using Item = void *;

	explicit Mempool(unsigned live)
		: pool_(rte_mempool_create(unique_name("bench").c_str(), live + 16383, 64, 512, 0, nullptr, nullptr, nullptr, nullptr,
					   SOCKET_ID_ANY, 0))
	{
		if (!pool_)
			throw std::runtime_error("rte_mempool_create failed");
	}
	~Mempool() { rte_mempool_free(pool_); }
	Mempool(const Mempool &) = delete;
	Mempool &operator=(const Mempool &) = delete;

	int get(Item *item) { return rte_mempool_get(pool_, item); }
	int put(Item item)
	{
		rte_mempool_put(pool_, item);
		return 0;
	}
	int get_bulk(Item *items, unsigned n) { return rte_mempool_get_bulk(pool_, items, n); }
	int pairs(unsigned n) { return pairs_mempool(pool_, n); }
	int bulks(unsigned n) { return bulks_mempool(pool_, n); }
	int put_bulk(const Item *items, unsigned n)
	{
		rte_mempool_put_bulk(pool_, items, n);
		return 0;
	}

private:
	rte_mempool *pool_;
};

class Domain {
public:
	using Item = rte_iova_t;

	explicit Domain(unsigned live)
	{
		const std::string name = unique_name("bench");
		iovad_domain_conf conf;
		iovad_domain_conf_init(&conf);
		conf.name = name.c_str();
		conf.max_ranges = live + 16383;
		domain_ = iovad_domain_create(&conf);
		if (!domain_)
			throw std::runtime_error("iovad_domain_create failed");
	}
	~Domain() { iovad_domain_destroy(domain_); }
	Domain(const Domain &) = delete;
	Domain &operator=(const Domain &) = delete;

	int get(Item *item) { return iovad_alloc(domain_, kPage, kLimit, item); }
	int put(Item item) { return iovad_free(domain_, item, kPage); }
	int pairs(unsigned n) { return pairs_iovad(domain_, kPage, kLimit, n); }
	int bulks(unsigned n) { return bulks_iovad(domain_, kPage, kLimit, n); }
	int get_bulk(Item *items, unsigned n) { return iovad_alloc_bulk(domain_, kPage, kLimit, items, n); }
	int put_bulk(const Item *items, unsigned n) { return iovad_free_bulk(domain_, items, kPage, n); }
	std::uint64_t exchanges() const
	{
		iovad_domain_stats stats;
		iovad_domain_stats_get(domain_, &stats);
		return stats.depot_hits + stats.tree_allocs;
	}

private:
	static constexpr std::uint64_t kLimit = UINT64_MAX;
	iovad_domain *domain_;
};

// What a handover costs that hands over nothing: the ring.
struct Ring {
	using Item = std::uint64_t;

	int get(Item *item)
	{
		*item = 0;
		return 0;
	}
	void put(Item item) { benchmark::DoNotOptimize(item); }
};

template <class Contestant, unsigned kDepth>
int bursts(Contestant &c)
{
	static std::array<typename Contestant::Item, kDepth> items;
	int failed = 0;
	for (unsigned done = 0; done < kRound; done += kDepth) {
		for (auto &item : items)
			failed |= c.get(&item);
		benchmark::ClobberMemory();
		for (auto item : items)
			failed |= c.put(item);
	}
	return failed;
}

template <class Round>
void measure(benchmark::State &state, Round &&round, unsigned operations = kRound)
{
	Stopwatch watch;
	int failed = 0;
	for (auto _ : state)
		state.SetIterationTime(watch.time(operations, [&] { failed |= round(); }));
	if (failed)
		state.SkipWithError("an allocation or free failed");
	state.counters["ns"] = watch.ns_per_operation();
}

// A contestant with N live items; random ones are replaced. Both contestants touch the
// list of items at the same random places.
template <class Contestant>
class Population {
public:
	explicit Population(unsigned live) : contestant_(live), items_(live), order_(kRound)
	{
		for (auto &item : items_) {
			if (contestant_.get(&item) != 0)
				throw std::runtime_error("no room for a population of " + std::to_string(live));
		}
		std::mt19937 random(live);
		for (auto &place : order_)
			place = random() % live;
	}
	~Population()
	{
		for (auto item : items_)
			contestant_.put(item);
	}
	Population(const Population &) = delete;
	Population &operator=(const Population &) = delete;

	int replace()
	{
		int failed = 0;
		for (const unsigned place : order_) {
			failed |= contestant_.put(items_[place]);
			failed |= contestant_.get(&items_[place]);
		}
		return failed;
	}
	int replace_bulk()
	{
		std::array<typename Contestant::Item, kBurst> some{};
		int failed = 0;
		for (unsigned done = 0; done < kRound; done += kBurst) {
			// In one call only what is live once: a run, from a random place.
			const unsigned first = order_[done] % (items_.size() - kBurst + 1);
			std::copy_n(items_.begin() + first, kBurst, some.begin());
			failed |= contestant_.put_bulk(some.data(), kBurst);
			failed |= contestant_.get_bulk(some.data(), kBurst);
			std::copy_n(some.begin(), kBurst, items_.begin() + first);
		}
		return failed;
	}

private:
	Contestant contestant_;
	std::vector<typename Contestant::Item> items_;
	std::vector<unsigned> order_;
};

template <class Contestant>
void on_lcores(benchmark::State &state, Contestant &c, unsigned lcores)
{
	Neighbour neighbours([&c] { c.pairs(kRound); }, lcores - 1);
	measure(state, [&] { return c.pairs(kRound); });
}

// A mempool does not count them.
std::uint64_t exchanges_of(const Mempool &) { return 0; }
std::uint64_t exchanges_of(const Ring &) { return 0; }
std::uint64_t exchanges_of(const Domain &domain) { return domain.exchanges(); }

template <class Contestant>
void handover(benchmark::State &state, Contestant &c)
{
	using Item = typename Contestant::Item;
	rte_ring *ring = rte_ring_create_elem("handover", sizeof(Item), 1024, SOCKET_ID_ANY,
					      RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (!ring) {
		state.SkipWithError("rte_ring_create_elem failed");
		return;
	}
	auto drain = [&c, ring] {
		std::array<Item, kBurst> items;
		unsigned n = rte_ring_sc_dequeue_burst_elem(ring, items.data(), sizeof(Item), kBurst, nullptr);
		for (unsigned i = 0; i < n; ++i)
			c.put(items[i]);
		return n;
	};
	{
		Neighbour neighbour(drain);
		const std::uint64_t before = exchanges_of(c);
		measure(state, [&c, ring] {
			std::array<Item, kBurst> items{};
			int failed = 0;
			for (unsigned done = 0; done < kRound; done += kBurst) {
				for (auto &item : items)
					failed |= c.get(&item);
				while (!rte_ring_sp_enqueue_bulk_elem(ring, items.data(), sizeof(Item), kBurst,
								      nullptr))
					rte_pause();
			}
			return failed;
		});
		if (const std::uint64_t exchanges = exchanges_of(c) - before)
			state.counters["exchanges"] = static_cast<double>(exchanges) / static_cast<double>(state.iterations() * kRound);
	}
	while (drain())
		;
	rte_ring_free(ring);
}

template <class Body>
void add(const char *name, const char *contestant, Body body)
{
	benchmark::RegisterBenchmark((std::string(name) + "/" + contestant).c_str(), body)
		->UseManualTime();
}

template <class Contestant>
void add_contestant(const char *name, Contestant &c)
{
	using State = benchmark::State;
	add("pair", name, [&c](State &s) { measure(s, [&c] { return c.pairs(kRound); }); });
	add("burst:32", name, [&c](State &s) { measure(s, [&c] { return bursts<Contestant, 32>(c); }); });
	// More than a cache holds, of either kind.
	add("burst:1024", name, [&c](State &s) { measure(s, [&c] { return bursts<Contestant, 1024>(c); }); });
	add("bulk:32", name, [&c](State &s) { measure(s, [&c] { return c.bulks(kBulks); }, kBulks); });
	for (const auto &[size, live] : {std::pair{"1e3", 1000u}, {"1e4", 10000u}, {"1e5", 100000u},
					 {"1e6", 1000000u}}) {
		const std::string title = std::string("live:") + size;
		auto population = std::make_shared<std::unique_ptr<Population<Contestant>>>();
		const auto made = [population, live = live]() -> Population<Contestant> & {
			if (!*population)
				*population = std::make_unique<Population<Contestant>>(live);
			return **population;
		};
		add(title.c_str(), name, [made](State &s) {
			auto &p = made();
			measure(s, [&p] { return p.replace(); });
		});
		add((title + ":bulk").c_str(), name, [made](State &s) {
			auto &p = made();
			measure(s, [&p] { return p.replace_bulk(); });
		});
	}
	if (rte_lcore_count() < 2)
		return;
	for (unsigned n = 2; n <= rte_lcore_count(); n *= 2)
		add(("lcores:" + std::to_string(n)).c_str(), name, [&c, n](State &s) { on_lcores(s, c, n); });
	add("handover", name, [&c](State &s) { handover(s, c); });
}

void run()
{
	EalSession eal;
	benchmark::AddCustomContext("lcores", eal.cpus());
	benchmark::AddCustomContext("memory", eal.huge_pages() ? "huge pages" : "no huge pages (--no-huge)");
	Mempool mempool(0);
	Domain domain(0);
	add_contestant("mempool", mempool);
	add_contestant("iovad", domain);
	Ring ring;
	if (rte_lcore_count() >= 2)
		add("handover", "ring", [&ring](benchmark::State &s) { handover(s, ring); });
	benchmark::RunSpecifiedBenchmarks();
	benchmark::ClearRegisteredBenchmarks();  // and the populations, while EAL is there
}

}  // namespace

int main(int argc, char **argv) { return iovad::bench::bench_main(argc, argv, run); }
