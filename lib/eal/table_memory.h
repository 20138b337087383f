// SPDX-License-Identifier: BSD-3-Clause
// Memory for the tables of a domain's mapping lookups, from EAL's heap, so that secondary
// processes see it at the same address. It goes with the domain.
#pragma once

#include "core/page_index.h"

namespace iovad::eal {

class TableMemory {
public:
	explicit TableMemory(int socket_id) : socket_id_(socket_id) {}
	~TableMemory();
	TableMemory(const TableMemory &) = delete;
	TableMemory &operator=(const TableMemory &) = delete;

	// n zeroed tables, or null. Any thread; may block.
	core::PageIndex::Table *take(unsigned n);

private:
	struct Chunk;

	const int socket_id_;
	std::atomic<Chunk *> chunks_ = nullptr;
};

}  // namespace iovad::eal
