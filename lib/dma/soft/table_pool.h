// SPDX-License-Identifier: BSD-3-Clause
// The tables of one software IOMMU. What is free is all zero, and goes back to the system
// only with the pool: whoever still walks a table that was put back reads entries, whatever
// has become of them, and never freed memory. One thread at a time.
#pragma once

#include <memory>
#include <vector>

#include "dma/soft/table.h"

namespace iovad::dma::soft {

class TablePool {
public:
	explicit TablePool(uint64_t most) : most_(most) {}

	// After this the next n take() cannot fail. False: no memory, or more than allowed.
	bool reserve(uint64_t n);
	Table &take();
	// With every entry empty. Cannot fail.
	void put(Table &table);

	uint64_t taken() const { return taken_; }
	uint64_t bytes() const { return total_ * sizeof(Table); }
	// Tables in use may be this many; those that are now stay.
	void limit(uint64_t most) { most_ = most; }

	// Counts agree, and what is free is zero.
	bool verify() const;

private:
	static constexpr uint64_t kLeast = 16;  // tables made at once

	bool grow(uint64_t n);

	uint64_t most_;
	uint64_t total_ = 0, taken_ = 0;
	std::vector<std::unique_ptr<Table[]>> slabs_;
	std::vector<Table *> free_;  // has room for all, so that put() needs no memory
};

}  // namespace iovad::dma::soft
