// SPDX-License-Identifier: BSD-3-Clause
// /iovad/caches: a row for each lcore of any process that has a cache, one for the cache that
// other threads share, and the depot, bin by bin.
#include <algorithm>
#include <iterator>
#include <vector>

#include "eal/telemetry/telemetry.h"

namespace iovad::eal {

namespace {

// Of the widest numbers 16 KiB hold as many.
constexpr unsigned kMostRows = 128;
constexpr const char *kCachedNames[] = {"lcore_cached_1",  "lcore_cached_2",  "lcore_cached_4", "lcore_cached_8",
					"lcore_cached_16", "lcore_cached_32", "lcore_cached_64"};
static_assert(std::size(kCachedNames) == core::kClasses);

struct Row {
	core::CacheView view;
	uint64_t cached[core::kClasses];  // addresses, of both zones
	uint64_t all;

	explicit Row(const core::CacheView &v) : view(v), cached{}, all(0)
	{
		for (unsigned i = 0; i < core::kBins; ++i) {
			cached[core::Bin::numbered(i).klass()] += v.cached[i];
			all += v.cached[i];
		}
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

void tell_depot(const core::Domain &domain, Answer &answer)
{
	bins(answer, "depot_granules", [](core::Bin bin) { return bin.granules(); });
	bins(answer, "depot_zone", [](core::Bin bin) { return bin.zone(); });
	bins(answer, "depot_full", [&](core::Bin bin) { return domain.depot_view(bin).full; });
	bins(answer, "depot_empty", [&](core::Bin bin) { return domain.depot_view(bin).empty; });
	bins(answer, "depot_capacity", [&](core::Bin bin) { return domain.depot_view(bin).capacity; });
	bins(answer, "depot_contended", [&](core::Bin bin) { return domain.depot_view(bin).contended; });
}

}  // namespace

void tell_caches(iovad_domain &d, unsigned first_row, Answer &answer)
{
	std::vector<Row> rows;
	d.core.for_each_cache_view([&rows](const core::CacheView &view) { rows.emplace_back(view); });
	answer.number("lcores", rows.size());
	rows.erase(rows.begin(), rows.begin() + std::min<ptrdiff_t>(first_row, std::ssize(rows)));
	if (rows.size() > kMostRows)
		rows.erase(rows.begin() + kMostRows, rows.end());
	column(answer, "lcore_pid", rows, [](const Row &row) { return core::pid_of(row.view.process); });
	column(answer, "lcore_id", rows, [](const Row &row) { return row.view.lcore; });
	column(answer, "lcore_cached", rows, [](const Row &row) { return row.all; });
	for (unsigned klass = 0; klass < core::kClasses; ++klass)
		column(answer, kCachedNames[klass], rows, [klass](const Row &row) { return row.cached[klass]; });
	column(answer, "lcore_hits", rows, [](const Row &row) { return row.view.hits; });
	column(answer, "lcore_depot_hits", rows, [](const Row &row) { return row.view.depot_hits; });
	tell_depot(d.core, answer);
}

}  // namespace iovad::eal
