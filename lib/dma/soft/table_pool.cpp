// SPDX-License-Identifier: BSD-3-Clause
#include "dma/soft/table_pool.h"

#include <algorithm>
#include <new>

namespace iovad::dma::soft {

bool TablePool::reserve(uint64_t n)
{
	if (taken_ > most_ || n > most_ - taken_)
		return false;
	return n <= free_.size() || grow(n - free_.size());
}

bool TablePool::grow(uint64_t n)
{
	// In proportion, so that the list of free ones is not copied at every turn.
	n = std::max({n, kLeast, total_ / 8});
	try {
		free_.reserve(total_ + n);
		slabs_.push_back(std::make_unique<Table[]>(n));
	} catch (const std::bad_alloc &) {
		return false;
	}
	total_ += n;
	for (uint64_t i = n; i-- > 0;)
		free_.push_back(&slabs_.back()[i]);
	return true;
}

Table &TablePool::take()
{
	Table *table = free_.back();
	free_.pop_back();
	++taken_;
	return *table;
}

void TablePool::put(Table &table)
{
	free_.push_back(&table);
	--taken_;
}

bool TablePool::verify() const
{
	const auto zero = [](const Table *table) {
		return std::all_of(std::begin(table->entry), std::end(table->entry),
				   [](const auto &entry) { return entry == 0; });
	};
	return taken_ + free_.size() == total_ && std::all_of(free_.begin(), free_.end(), zero);
}

}  // namespace iovad::dma::soft
