// SPDX-License-Identifier: BSD-3-Clause
// Zeroed tables for a PageIndex, that live as long as this.
#pragma once

#include <memory>
#include <vector>

#include "core/page_index.h"

namespace iovad::core {

class IndexTables {
public:
	PageIndex::Table *take(unsigned n)
	{
		all_.push_back(std::make_unique<PageIndex::Table[]>(n));
		return all_.back().get();
	}

private:
	std::vector<std::unique_ptr<PageIndex::Table[]>> all_;
};

}  // namespace iovad::core
