// SPDX-License-Identifier: BSD-3-Clause
// What a domain must do, in the simplest way: a map of ranges. In granules. What caches
// hold is free here.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace iovad::test {

class Oracle {
public:
	struct Range {
		uint64_t start, end;
		bool reserved;
		bool operator==(const Range &) const = default;
	};

	Oracle(uint64_t first, uint64_t end) : first_(first), end_(end) {}

	// The highest fit that ends below `end`.
	std::optional<uint64_t> highest(uint64_t size, uint64_t align, uint64_t end) const;
	// The first range that begins below end and ends above start.
	const Range *overlap(uint64_t start, uint64_t end) const;
	bool holds(uint64_t start, uint64_t end) const { return start >= first_ && end <= end_ && start < end; }

	// The caller has looked.
	void take(uint64_t start, uint64_t end);
	void give_back(uint64_t start);

	// False where a live range is in the way.
	bool reserve(uint64_t start, uint64_t end);
	// False where a part is not reserved.
	bool unreserve(uint64_t start, uint64_t end);

	uint64_t granules() const { return end_ - first_; }
	uint64_t first() const { return first_; }
	uint64_t live_ranges() const { return live_ranges_; }
	uint64_t live() const { return live_; }
	uint64_t reserved() const { return reserved_; }

private:
	void insert_reserved(uint64_t start, uint64_t end);

	uint64_t first_, end_;
	std::map<uint64_t, Range> ranges_;
	uint64_t live_ranges_ = 0, live_ = 0, reserved_ = 0;
};

}  // namespace iovad::test
