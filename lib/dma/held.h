// SPDX-License-Identifier: BSD-3-Clause
// What the control lcore took and holds back: mappings that nobody finds any more, and whose
// translation can wait a little longer. One buffer that is still in use between them ends a run of
// the backend's calls, and most buffers are in use for a shorter time than what is unmapped lazily
// may wait. So nothing goes before it has to, and then what lies beside it goes along.
//
// Belongs to one thread at a time.
#pragma once

#include <array>
#include <span>

#include "core/mapping_table.h"
#include "core/retire_queue.h"

namespace iovad::dma {

class Held {
public:
	static constexpr unsigned kMost = 2 * core::RetireQueue::kEntries;  // what any queue has fits into half of it

	explicit Held(const core::Geometry &geometry) : geometry_(geometry) {}

	bool has_room_for_queue() const { return kMost - n_ >= core::RetireQueue::kEntries; }
	// since: they were unmapped no earlier.
	void add(std::span<core::MappingRecord *const> records, uint64_t since);
	bool holds(uint64_t iova) const;
	// None that is here was unmapped earlier; UINT64_MAX: none is.
	uint64_t oldest() const { return oldest_; }

	// The runs of neighbours with one that was unmapped at `before` or earlier, by address. They are
	// the caller's, the arrays until the next call.
	struct Taken {
		std::span<core::MappingRecord *> records;
		std::span<const uint64_t> since;
		uint64_t granules = 0;
	};
	Taken take(uint64_t before);

private:
	struct Item {
		uint64_t iova, since;
		core::MappingRecord *record;
	};
	using Items = std::span<Item>;

	size_t length_of_run(Items items) const;

	const core::Geometry &geometry_;
	unsigned n_ = 0;
	uint64_t oldest_ = UINT64_MAX;
	std::array<Item, kMost> items_;
	std::array<core::MappingRecord *, kMost> taken_;
	std::array<uint64_t, kMost> taken_since_;
};

}  // namespace iovad::dma
