// SPDX-License-Identifier: BSD-3-Clause
#include "dma/held.h"

#include <algorithm>

#include "dma/neighbours.h"

namespace iovad::dma {

using core::MappingRecord;

void Held::add(std::span<MappingRecord *const> records, uint64_t since)
{
	for (MappingRecord *record : records)
		items_[n_++] = {iova_of(*record), since, record};
	if (!records.empty())
		oldest_ = std::min(oldest_, since);
}

bool Held::holds(uint64_t iova) const
{
	return std::any_of(items_.begin(), items_.begin() + n_,
			   [=](const Item &i) { return i.record->mapping().holds_iova(iova, 1); });
}

size_t Held::length_of_run(Items items) const
{
	size_t n = 1;
	while (n < items.size() && are_neighbours(geometry_, *items[n - 1].record, *items[n].record))
		++n;
	return n;
}

Held::Taken Held::take(uint64_t before)
{
	std::sort(items_.begin(), items_.begin() + n_, [](const Item &a, const Item &b) { return a.iova < b.iova; });
	const Items all(items_.data(), n_);
	unsigned kept = 0, n = 0;
	uint64_t granules = 0;
	oldest_ = UINT64_MAX;
	for (size_t begin = 0; begin < all.size();) {
		const Items run = all.subspan(begin, length_of_run(all.subspan(begin)));
		const bool goes = std::any_of(run.begin(), run.end(), [=](const Item &i) { return i.since <= before; });
		for (const Item &item : run) {
			if (goes) {
				granules += granules_of(geometry_, *item.record);
				taken_since_[n] = item.since;
				taken_[n++] = item.record;
			} else {
				oldest_ = std::min(oldest_, item.since);
				items_[kept++] = item;
			}
		}
		begin += run.size();
	}
	n_ = kept;
	return {{taken_.data(), n}, {taken_since_.data(), n}, granules};
}

}  // namespace iovad::dma
