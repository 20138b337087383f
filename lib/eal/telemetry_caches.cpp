// SPDX-License-Identifier: BSD-3-Clause
// /iovad/caches: a row for each lcore of any process that has a cache, one for the cache that
// other threads share, and the depot, bin by bin.
#include <algorithm>
#include <iterator>
#include <vector>

#include "eal/telemetry.h"

namespace iovad::eal {

namespace {

// Of the widest numbers 16 KiB hold as many.
constexpr unsigned kMostRows = 128;
constexpr const char *kCachedNames[] = {"lcore_cached_1",  "lcore_cached_2",  "lcore_cached_4", "lcore_cached_8",
					"lcore_cached_16", "lcore_cached_32", "lcore_cached_64"};
static_assert(std::size(kCachedNames) == core::kClasses);

struct Row {
	uint64_t pid, lcore, hits, depot_hits;  // pid 0: the shared one
	uint64_t cached[core::kClasses];        // addresses

	explicit Row(core::LcoreCache &cache)
		: pid(0), lcore(0), hits(cache.hits()), depot_hits(cache.depot_hits()), cached{}
	{
		if (const uint64_t owner = core::load_relaxed(cache.hot()->owner)) {
			pid = owner >> 32;
			lcore = (owner & UINT32_MAX) - 1;
		}
		cache.for_each([this](const core::Magazine &m) { cached[m.bin().klass()] += m.count(); });
	}
	uint64_t all() const
	{
		uint64_t sum = 0;
		for (const uint64_t n : cached)
			sum += n;
		return sum;
	}
};

template <class Value> void column(Answer &answer, const char *name, const std::vector<Row> &rows, Value value)
{
	answer.numbers(name, [&](auto add) {
		for (const Row &row : rows)
			add(value(row));
	});
}

template <class Value> void bins(Answer &answer, const char *name, Value value)
{
	answer.numbers(name, [&](auto add) {
		for (unsigned i = 0; i < core::kBins; ++i)
			add(value(core::Bin::numbered(i)));
	});
}

void tell_depot(core::Depot &depot, Answer &answer)
{
	uint64_t full[core::kBins] = {};
	depot.for_each_full([&](const core::Magazine &m) { ++full[m.bin().index()]; });
	bins(answer, "depot_granules", [](core::Bin bin) { return bin.granules(); });
	bins(answer, "depot_zone", [](core::Bin bin) { return bin.zone(); });
	bins(answer, "depot_full", [&](core::Bin bin) { return full[bin.index()]; });
	bins(answer, "depot_capacity", [&](core::Bin bin) { return depot.capacity(bin); });
}

}  // namespace

void tell_caches(iovad_domain &d, unsigned first_row, Answer &answer)
{
	core::DomainState &state = *d.shared->state;
	std::vector<Row> rows = {Row(state.shared)};
	for (uint32_t i = 0; i < state.config.caches; ++i) {
		if (state.caches[i].owned())
			rows.emplace_back(state.caches[i]);
	}
	answer.number("lcores", rows.size());
	rows.erase(rows.begin(), rows.begin() + std::min<ptrdiff_t>(first_row, std::ssize(rows)));
	if (rows.size() > kMostRows)
		rows.erase(rows.begin() + kMostRows, rows.end());
	column(answer, "lcore_pid", rows, [](const Row &row) { return row.pid; });
	column(answer, "lcore_id", rows, [](const Row &row) { return row.lcore; });
	column(answer, "lcore_cached", rows, [](const Row &row) { return row.all(); });
	for (unsigned klass = 0; klass < core::kClasses; ++klass)
		column(answer, kCachedNames[klass], rows, [klass](const Row &row) { return row.cached[klass]; });
	column(answer, "lcore_hits", rows, [](const Row &row) { return row.hits; });
	column(answer, "lcore_depot_hits", rows, [](const Row &row) { return row.depot_hits; });
	tell_depot(state.depot, answer);
}

}  // namespace iovad::eal
