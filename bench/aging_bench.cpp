// SPDX-License-Identifier: BSD-3-Clause
// What time does to a space: a day of ranges of all lengths and lifetimes, compressed.
//
// Names are <case>/<contestant>. An hour is 100000 ranges that come; how many of them live at
// once swings by the hour between 6000 and 20000. Half are one page, the others 2 to 32, or 512,
// and half are aligned to their next power of two; seven in ten live for a moment, a quarter for
// half an hour, the rest for half a day. Requests are the same for all.
//   day         that
//   leak        one range in 1000 is never given back
// Counters: ns per range that comes and goes; and after each hour h, footprint_h, what the space
// reaches down to by what is live, and gap_h, the largest gap in 4 GiB, in pages.
#include "contestants.h"
#include "stopwatch.h"

#include "baselines/gap_map.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <queue>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace iovad::bench;
using namespace iovad::baselines;

constexpr std::uint64_t kTop = (std::uint64_t{1} << 20) - 1;  // 4 GiB of pages
constexpr unsigned kHours = 24, kArrivals = 100000;

struct Range {
	std::uint64_t end;  // when it goes, in arrivals
	std::uint64_t pfn, size;

	bool operator>(const Range &other) const { return end > other.end; }
};

class Arrivals {
public:
	explicit Arrivals(unsigned leak) : leak_(leak) {}

	// pfn is not set.
	Range next(std::uint64_t now, std::uint64_t &align)
	{
		Range range{now + lifetime(now), 0, size()};
		if (leak_ != 0 && below(leak_) == 0)
			range.end = UINT64_MAX;
		align = below(2) == 0 ? std::bit_ceil(range.size) : 1;
		return range;
	}

private:
	std::uint64_t below(std::uint64_t n) { return random_() % n; }

	std::uint64_t size()
	{
		const std::uint64_t kind = below(100);
		return kind < 50 ? 1 : kind < 99 ? 2 + below(31) : 512;
	}

	std::uint64_t lifetime(std::uint64_t now)
	{
		const std::uint64_t kind = below(1000);
		const double hours = kind < 700 ? 0.001 : kind < 995 ? 0.5 : 12;
		const double tide = 0.65 - 0.35 * std::cos(6.2831853 * static_cast<double>(now) / (kHours * kArrivals));
		return 1 + static_cast<std::uint64_t>(std::exponential_distribution<>()(random_) * hours * tide * kArrivals);
	}

	unsigned leak_;
	std::mt19937_64 random_{1};
};

// From the lowest page in use to the top; and the largest gap of all.
void look(benchmark::State &state, unsigned hour, std::vector<Range> live)
{
	std::sort(live.begin(), live.end(), [](const Range &a, const Range &b) { return a.pfn < b.pfn; });
	std::uint64_t used = 0, gap = 0, end = 1;
	for (const Range &range : live) {
		used += range.size;
		gap = std::max(gap, range.pfn - end);
		end = range.pfn + range.size;
	}
	gap = std::max(gap, kTop + 1 - end);
	const double reach = static_cast<double>(kTop + 1 - live.front().pfn);
	state.counters["footprint_" + std::to_string(hour)] = reach / static_cast<double>(used);
	state.counters["gap_" + std::to_string(hour)] = static_cast<double>(gap);
}

template <class Contestant>
void age(benchmark::State &state, unsigned leak)
{
	struct Live : std::priority_queue<Range, std::vector<Range>, std::greater<>> {
		const std::vector<Range> &all() const { return c; }
	};
	for (auto _ : state) {
		Contestant contestant(Space{.last = kTop, .max_ranges = 100000});
		Arrivals arrivals(leak);
		Live live;
		Stopwatch watch;
		for (std::uint64_t now = 0; now < std::uint64_t{kHours} * kArrivals; ++now) {
			std::uint64_t align;
			Range range = arrivals.next(now, align);
			watch.time(1, [&] { range.pfn = contestant.take(range.size, align, kTop); });
			if (range.pfn == 0) {
				state.SkipWithError("the space is full");
				return;
			}
			live.push(range);
			for (; live.top().end <= now; live.pop())
				watch.time(0, [&] { contestant.give(live.top().pfn, live.top().size); });
			if ((now + 1) % kArrivals == 0)
				look(state, static_cast<unsigned>((now + 1) / kArrivals), live.all());
		}
		state.counters["ns"] = watch.ns_per_operation();
	}
}

// Every repetition would be the same.
template <class Contestant>
void add(const char *contestant)
{
	for (const auto &[name, leak] : {std::pair{"day/", 0u}, std::pair{"leak/", 1000u}}) {
		benchmark::RegisterBenchmark((std::string(name) + contestant).c_str(),
					     [one_in = leak](benchmark::State &state) { age<Contestant>(state, one_in); })
			->Iterations(1)->Repetitions(1);
	}
}

}  // namespace

int main(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 1;
	add<Iovad<iovad::core::Isa::best>>("iovad");
	add<GapMap<Fit::kFirst>>("first_fit");
	add<GapMap<Fit::kBest>>("best_fit");
	benchmark::RunSpecifiedBenchmarks();
	benchmark::Shutdown();
}
