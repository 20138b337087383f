// SPDX-License-Identifier: BSD-3-Clause
// Lazy unmapping of 4 KiB pages from the software IOMMU, through the C API and the shared library.
//
// Names are <case>/<contestant>; the counter ns is per call, or per map and unmap together.
//   back:N     N pages that were allocated (free) or mapped (unmap) go back one by one. N is less
//              than the lcore's queue holds, which is emptied before the next round. Each round has
//              both, in one domain, and times the first: before either burst lies the same work,
//              so that neither finds the CPU's caches as its own kind left them. The median burst.
//   sustained  a page is unmapped, and another mapped, while 256 are mapped and the control thread
//              runs on a CPU of its own; beside the same in a domain that unmaps strictly.
#include "bench_main.h"
#include "eal_session.h"
#include "pairs.h"
#include "stopwatch.h"

#include <iovad/iovad_control.h>

#include <benchmark/benchmark.h>

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <vector>

namespace {

using namespace iovad::bench;

constexpr std::uint64_t kPage = 4096, kLimit = UINT64_MAX;
constexpr unsigned kRound = 1024;    // pairs per reading of the clock
constexpr unsigned kDepth = 256;     // pages that are mapped at once
constexpr std::uint64_t kDeferred = std::uint64_t{64} << 20;
// More than may be deferred: a page that still is would be shared, not mapped.
constexpr unsigned kPages = kDeferred / kPage + kDepth + kRound;
static_assert(kRound < IOVAD_HOT_RETIRED);

class Pages {
public:
	Pages()
		: begin_(mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))
	{
		if (begin_ == MAP_FAILED)
			throw std::runtime_error("no memory to map");
	}
	~Pages() { munmap(begin_, kPages * kPage); }
	Pages(const Pages &) = delete;
	Pages &operator=(const Pages &) = delete;

	// In turn. Never touched, so that there is nothing behind them.
	void *next() { return static_cast<char *>(begin_) + next_++ % kPages * kPage; }

private:
	void *begin_;
	unsigned next_ = 0;
};

class Domain {
public:
	Domain(const char *name, iovad_unmap_policy policy)
	{
		iovad_domain_conf conf;
		iovad_domain_conf_init(&conf);
		conf.name = name;
		conf.backend = IOVAD_BACKEND_SOFT;
		conf.granule = kPage;
		conf.unmap_policy = policy;
		conf.lazy_max_bytes = kDeferred;
		domain_ = iovad_domain_create(&conf);
		if (!domain_)
			throw std::runtime_error("iovad_domain_create failed");
	}
	~Domain() { iovad_domain_destroy(domain_); }
	Domain(const Domain &) = delete;
	Domain &operator=(const Domain &) = delete;

	iovad_domain *get() const { return domain_; }
	int map(rte_iova_t *iova) { return iovad_map(domain_, pages_.next(), kPage, kLimit, IOVAD_BIDIRECTIONAL, iova); }

private:
	Pages pages_;
	iovad_domain *domain_;
};

// Bursts are so short that most are not interrupted, while the mean would tell who else had the CPU.
double median(std::vector<double> &values)
{
	const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
	std::nth_element(values.begin(), middle, values.end());
	return *middle;
}

using GoBack = int (*)(iovad_domain *, const rte_iova_t *, std::uint64_t, unsigned);

// Nothing polls but this, so that nothing but the burst runs while it is timed.
void back(benchmark::State &state, Domain &domain, unsigned n, bool unmap)
{
	const GoBack timed = unmap ? unmaps_iovad : frees_iovad, other = unmap ? frees_iovad : unmaps_iovad;
	std::array<rte_iova_t, kRound> allocated{}, mapped{};
	std::vector<double> seconds;
	int failed = 0;
	iovad_control_poll();
	for (auto _ : state) {
		Stopwatch watch;
		for (unsigned i = 0; i < n; ++i)
			failed |= iovad_alloc(domain.get(), kPage, kLimit, &allocated[i]);
		for (unsigned i = 0; i < n; ++i)
			failed |= domain.map(&mapped[i]);
		const rte_iova_t *first = unmap ? mapped.data() : allocated.data();
		const rte_iova_t *second = unmap ? allocated.data() : mapped.data();
		seconds.push_back(watch.time(n, [&] { failed |= timed(domain.get(), first, kPage, n); }));
		failed |= other(domain.get(), second, kPage, n);
		iovad_control_poll();
	}
	if (failed)
		state.SkipWithError("a call failed");
	state.counters["ns"] = median(seconds) * 1e9 / n;
}

void sustained(benchmark::State &state, Domain &domain)
{
	std::vector<rte_iova_t> ring(kDepth);
	int failed = 0;
	iovad_control_thread_start();
	for (rte_iova_t &iova : ring)
		failed |= domain.map(&iova);
	Stopwatch watch;
	for (auto _ : state) {
		watch.time(kRound, [&] {
			for (unsigned i = 0; i < kRound; ++i) {
				rte_iova_t &iova = ring[i % kDepth];
				failed |= iovad_unmap(domain.get(), iova, kPage);
				failed |= domain.map(&iova);
			}
		});
	}
	for (const rte_iova_t iova : ring)
		failed |= iovad_unmap(domain.get(), iova, kPage);
	iovad_control_thread_stop();
	if (failed)
		state.SkipWithError("a call failed");
	state.counters["ns"] = watch.ns_per_operation();
}

// What is not timed counts for how long a repetition takes: it is most of it.
template <class Body>
void add(const std::string &name, Body body)
{
	benchmark::RegisterBenchmark(name.c_str(), body)->UseRealTime();
}

void add_all(Domain &lazy, Domain &strict)
{
	for (const unsigned n : {64u, kRound}) {
		const std::string title = "back:" + std::to_string(n);
		add(title + "/free", [&lazy, n](benchmark::State &state) { back(state, lazy, n, false); });
		add(title + "/unmap", [&lazy, n](benchmark::State &state) { back(state, lazy, n, true); });
	}
	add("sustained/strict", [&strict](benchmark::State &state) { sustained(state, strict); });
	add("sustained/lazy", [&lazy](benchmark::State &state) { sustained(state, lazy); });
}

void run()
{
	EalSession eal(EalSession::Lcores::first);
	benchmark::AddCustomContext("lcores", eal.cpus());
	benchmark::AddCustomContext("memory", eal.huge_pages() ? "huge pages" : "no huge pages (--no-huge)");
	benchmark::AddCustomContext("backend", "soft");
	Domain lazy("lazy", IOVAD_UNMAP_LAZY), strict("strict", IOVAD_UNMAP_STRICT);
	add_all(lazy, strict);
	benchmark::RunSpecifiedBenchmarks();
}

}  // namespace

int main(int argc, char **argv) { return iovad::bench::bench_main(argc, argv, run); }
