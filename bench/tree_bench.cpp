// SPDX-License-Identifier: BSD-3-Clause
// The path that misses every cache: one allocation or free in the index of ranges, of
// iovad and of what the kernel has had, all with a lock around each operation.
//
// Names are <case>/<contestant>. Counters: alloc_ns and free_ns per operation, bytes per
// live range packed and with holes, found as a share, round_ms of all requests; of tails and holds, what so many percent
// took at most, in ns: of the operations, allocations and frees; of the times that the lock is
// held at most, by the control lcore or whoever empties a magazine. An iteration is one round of
// requests; its own time means nothing beyond how long the benchmark runs. What is timed
// alone, not 32 at a time, includes one reading of the clock (see clock_ns in the context).
#include "hard_cases.h"
#include "population.h"
#include "stopwatch.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <tuple>

namespace {

using namespace iovad::bench;
using iovad::core::Isa;
using iovad::core::isa_supported;
using iovad::core::isa_name;
using iovad::core::select_isa;

constexpr Mix kPlain{.max_size = 32, .shape = Shape::kPlain, .half_below_4g = false};
constexpr Mix kPages{.max_size = 1, .shape = Shape::kPlain, .half_below_4g = false};
constexpr Mix kAligned{.max_size = 32, .shape = Shape::kAligned, .half_below_4g = false};
constexpr Mix kBlocks{.max_size = 32, .shape = Shape::kBlocks, .half_below_4g = false};
constexpr Mix kMixedLimits{.max_size = 16, .shape = Shape::kPlain, .half_below_4g = true};
constexpr Mix kMixedLimitsAligned{.max_size = 16, .shape = Shape::kAligned, .half_below_4g = true};

enum class FreeBy { kAddress, kHandle };

template <class Contestant>
Population<Contestant> &population(std::size_t n, const Mix &mix)
{
	using Key = std::tuple<std::size_t, std::uint64_t, Shape, bool>;
	static std::map<Key, std::unique_ptr<Population<Contestant>>> all;
	auto &p = all[{n, mix.max_size, mix.shape, mix.half_below_4g}];
	if (!p)
		p = std::make_unique<Population<Contestant>>(n, mix);
	return *p;
}

template <class Contestant, FreeBy kFreeBy>
void replace(benchmark::State &state, std::size_t n, std::size_t batch, const Mix &mix)
{
	Contestant::enter();
	auto &ranges = population<Contestant>(n, mix);
	Contestant &contestant = ranges.contestant();
	std::vector<typename Population<Contestant>::Range> round;
	Stopwatch alloc, free;
	for (auto _ : state) {
		ranges.pick(round, batch);
		double spent = free.time(batch, [&] {
			for (const auto &r : round) {
				if constexpr (kFreeBy == FreeBy::kHandle)
					contestant.give(r.token);
				else
					contestant.give(r.pfn, r.size);
			}
		});
		ranges.resize(round);
		spent += alloc.time(batch, [&] {
			for (auto &r : round)
				r.token = ranges.take(r);
		});
		ranges.put_back(round);
		state.SetIterationTime(spent);
	}
	state.counters["alloc_ns"] = alloc.ns_per_operation();
	state.counters["free_ns"] = free.ns_per_operation();
	state.counters["bytes_packed"] = ranges.packed_bytes();
	state.counters["bytes_holes"] = ranges.bytes_per_range();
}

// Each operation alone, with one reading of the clock. As many as the last percentile needs, so
// that it does not depend on how long the benchmark may run.
constexpr std::size_t kTailRounds = 500000;

// From nothing to n ranges.
template <class Contestant>
void grow(benchmark::State &state, std::size_t n)
{
	Contestant::enter();
	Stopwatch alloc;
	for (auto _ : state) {
		Contestant contestant(Space{.max_ranges = n});
		std::mt19937_64 random(1);
		std::size_t taken = 0;
		state.SetIterationTime(alloc.time(n, [&] {
			for (std::size_t i = 0; i < n; ++i)
				taken += contestant.take(1 + random() % kPlain.max_size, 1, kLimit48) ? 1 : 0;
		}));
		if (taken != n)
			state.SkipWithError("a request failed that has room");
	}
	state.counters["alloc_ns"] = alloc.ns_per_operation();
}

void report_percents(benchmark::State &state, std::vector<float> &ns)
{
	std::sort(ns.begin(), ns.end());
	for (const char *percent : {"50", "90", "99", "99.9", "99.99", "99.999"}) {
		const double share = std::stod(percent) / 100;
		state.counters[std::string("p") + percent] = ns[static_cast<std::size_t>(share * static_cast<double>(ns.size() - 1))];
	}
}

template <class Contestant>
void tails(benchmark::State &state, std::size_t n)
{
	Contestant::enter();
	auto &ranges = population<Contestant>(n, kPlain);
	Contestant &contestant = ranges.contestant();
	std::vector<typename Population<Contestant>::Range> one;
	std::vector<float> ns;
	ns.reserve(2 * kTailRounds);
	const auto timed = [&ns](auto &&work) { ns.push_back(static_cast<float>(Stopwatch().time(1, work) * 1e9)); };
	for (auto _ : state) {
		ranges.pick(one, 1);
		timed([&] { contestant.give(one[0].pfn, one[0].size); });
		ranges.resize(one);
		timed([&] { one[0].token = ranges.take(one[0]); });
		ranges.put_back(one);
	}
	report_percents(state, ns);
}

// A magazine's worth of pages from anywhere goes back, as many at a time as the lock is held for.
void holds(benchmark::State &state, std::size_t n)
{
	using Ours = Iovad<Isa::best>;
	Ours::enter();
	auto &ranges = population<Ours>(n, kPages);
	std::vector<Population<Ours>::Range> run;
	std::vector<float> ns;
	ns.reserve(kTailRounds);
	for (auto _ : state) {
		ranges.pick(run, Ours::kFreeRun);
		std::array<std::uint64_t, Ours::kFreeRun> pages;
		std::transform(run.begin(), run.end(), pages.begin(), [](const auto &range) { return range.pfn; });
		ns.push_back(static_cast<float>(Stopwatch().time(1, [&] { ranges.contestant().give_run(1, pages); }) * 1e9));
		for (auto &range : run)
			range.token = ranges.take(range);
		ranges.put_back(run);
	}
	report_percents(state, ns);
}

template <class Contestant, template <class> class Case>
void hard(benchmark::State &state)
{
	using This = Case<Contestant>;
	Contestant::enter();
	static auto hard_case = std::make_unique<This>();
	Stopwatch alloc;
	for (auto _ : state) {
		hard_case->before();
		state.SetIterationTime(alloc.time(This::kOperations, [&] { hard_case->work(); }));
		if (!hard_case->after()) {
			state.SkipWithError("not the expected outcome");
			break;
		}
	}
	state.counters["alloc_ns"] = alloc.ns_per_operation();
	if constexpr (requires { hard_case->found(); })
		state.counters["found"] = hard_case->found();
	if constexpr (requires { hard_case->round_ms(0); })
		state.counters["round_ms"] = hard_case->round_ms(alloc.ns_per_operation());
}

template <class Body>
void add(const std::string &name, const char *contestant, Body body)
{
	benchmark::RegisterBenchmark((name + "/" + contestant).c_str(), body)->UseManualTime();
}

template <class Contestant, FreeBy kFreeBy>
void add_replace(const std::string &name, const char *contestant, std::size_t n, std::size_t batch,
		 const Mix &mix)
{
	add(name, contestant, [=](benchmark::State &state) {
		replace<Contestant, kFreeBy>(state, n, batch, mix);
	});
}

// max_n: more than that takes too long to build, let alone to measure.
template <class Contestant>
void add_contestant(const char *name, std::size_t max_n)
{
	using enum FreeBy;
	const std::pair<std::size_t, const char *> sizes[] = {
		{1000, "1e3"}, {10000, "1e4"}, {100000, "1e5"}, {1000000, "1e6"}};
	for (auto [n, text] : sizes) {
		if (n > max_n)
			continue;
		std::string base = std::string("replace:") + text;
		add_replace<Contestant, kAddress>(base, name, n, 32, kPlain);
		if constexpr (Contestant::kHasHandles)
			add_replace<Contestant, kHandle>(base + ":by_handle", name, n, 32, kPlain);
	}
	add_replace<Contestant, kAddress>("replace:1e5:one_at_a_time", name, 100000, 1, kPlain);
	add_replace<Contestant, kAddress>("replace:1e5:aligned", name, 100000, 32, kAligned);
	add_replace<Contestant, kAddress>("replace:1e5:blocks", name, 100000, 32, kBlocks);
	add_replace<Contestant, kAddress>("mixed_limits:1e5", name, 100000, 32, kMixedLimits);
	add_replace<Contestant, kAddress>("mixed_limits:1e5:aligned", name, 100000, 32,
					  kMixedLimitsAligned);
	add("grow:1e5", name, [](benchmark::State &state) { grow<Contestant>(state, 100000); });
	if (max_n >= 1000000) {
		add("grow:1e6", name, [](benchmark::State &state) { grow<Contestant>(state, 1000000); });
		const auto body = [](benchmark::State &state) { tails<Contestant>(state, 1000000); };
		benchmark::RegisterBenchmark((std::string("tails:1e6/") + name).c_str(), body)->Iterations(kTailRounds);
	}
	add("past_holes:3e5", name, hard<Contestant, PastHoles>);
	add("refill_past_holes:1024", name, hard<Contestant, RefillPastHoles>);
	add("full_space:1e6", name, hard<Contestant, FullSpace>);
	add("aligned_past_misfits:5e4", name, hard<Contestant, AlignedPastMisfits>);
	add("exact_aligned_holes:1024", name, hard<Contestant, ExactAlignedHoles>);
}

}  // namespace

int main(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 1;
	add_contestant<Linear>("linear_rbtree", 100000);
	add_contestant<Augmented>("augmented_rbtree", 1000000);
	// Differs from it in what it does with alignment only.
	add("aligned_past_misfits:5e4", "augmented_padded", hard<Padded, AlignedPastMisfits>);
	add("exact_aligned_holes:1024", "augmented_padded", hard<Padded, ExactAlignedHoles>);
	add_contestant<Iovad<Isa::best>>("iovad", 1000000);
	using enum FreeBy;
	if (isa_supported(Isa::avx512))
		add_replace<Iovad<Isa::avx512>, kAddress>("replace:1e5", "iovad_avx512", 100000, 32, kPlain);
	if (isa_supported(Isa::avx2))
		add_replace<Iovad<Isa::avx2>, kAddress>("replace:1e5", "iovad_avx2", 100000, 32, kPlain);
	add_replace<Iovad<Isa::portable>, kAddress>("replace:1e5", "iovad_portable", 100000, 32, kPlain);
	select_isa(Isa::best);
	benchmark::RegisterBenchmark("holds:1e6/iovad", [](benchmark::State &state) { holds(state, 1000000); })
		->Iterations(kTailRounds);
	benchmark::AddCustomContext("iovad_isa", isa_name(iovad::core::current_isa()));
	benchmark::AddCustomContext("clock_ns", std::to_string(static_cast<int>(clock_ns() + 0.5)));
	benchmark::RunSpecifiedBenchmarks();
	benchmark::Shutdown();
}
