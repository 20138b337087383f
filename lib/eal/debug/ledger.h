// SPDX-License-Identifier: BSD-3-Clause
// What this process has of a domain in debug mode, and who got it where: live records, by where they
// begin, and the last ones that ended. What other processes do it does not know.
//
// Any thread. Records that came and went at once on two threads may be found as they were before or after.
// Where there is no memory a record is lost, and counted: that must not make a call fail.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "eal/debug/call_site.h"

namespace iovad::eal::debug {

enum class What : uint8_t { range, mapping, region, slot };
enum class End : uint8_t { freed, unmapped, unmapped_lazily, removed, elsewhere };

struct Record {
	What what;
	uint32_t dir;  // 0: nothing is mapped
	uint64_t iova, len;  // as the caller has it
	uint64_t va;
	CallSite made;

	bool holds(uint64_t address) const { return address - iova < len; }
	bool overlaps(uint64_t address, uint64_t bytes) const { return holds(address) || iova - address < bytes; }
};

struct Ended {
	Record record;
	End how;
	CallSite site;
};

class Ledger {
public:
	// history: ended ones to remember. granule: mappings are the same where they begin in one.
	Ledger(uint32_t history, uint64_t granule);
	~Ledger();

	void add(const Record &record) noexcept;
	// The record that begins there, of this length where there is one. It is the caller's, to end() or to add() again.
	// A region begins at a virtual address.
	std::optional<Record> take(What what, uint64_t start, uint64_t len) noexcept;
	void end(const Record &record, End how) noexcept;

	// Of those that are so the shortest, which says most: a region holds others. Walks over all.
	using Is = std::function<bool(const Record &)>;
	std::optional<Record> find_live(const Is &is) const;
	// Of those the latest.
	std::optional<Ended> find_ended(const Is &is) const;
	// Nobody adds or takes meanwhile, so `use` must not either.
	void for_each(const std::function<void(const Record &)> &use) const;

	// Mappings on their way out, by the granule in which they begin, with the numbers of their records.
	void defer(uint64_t iova, uint32_t number) noexcept;
	void settle(uint64_t iova) noexcept;
	std::optional<uint32_t> deferred(uint64_t iova) const;

	struct Sizes {
		uint64_t live, ended, forgotten, lost;
	};
	Sizes sizes() const;

private:
	struct Tables;
	uint64_t key_of(What what, uint64_t start) const;

	const uint64_t mask_;
	const std::unique_ptr<Tables> tables_;
};

}  // namespace iovad::eal::debug
