// SPDX-License-Identifier: BSD-3-Clause
// Debug mode of one domain in one process: what the calls of the API tell it, and what it makes of that.
// The shared tree, or the table of mappings, decides whether a call succeeds, as ever; the checker says what
// was wrong with it, and who had the range before.
//
// Any thread. Calls are told of in this order, so that another thread that gets the same address tells of it
// later: what is given back before it is, what is taken after it was.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/bounce/bounce_slots.h"
#include "core/domain.h"
#include "core/mapping_table.h"
#include "eal/debug/findings.h"
#include "eal/debug/ledger.h"
#include "eal/debug/settings.h"

namespace iovad::eal::debug {

class Checker final : public core::BounceWatch {
public:
	// mappings: null without a backend. name stays.
	Checker(const char *name, core::Domain &core, core::MappingTable *mappings, const Settings &settings);
	~Checker();
	Checker(const Checker &) = delete;
	Checker &operator=(const Checker &) = delete;

	// ---- addresses ----
	void allocated(uint64_t iova, uint64_t len);
	// Before it is freed; then ended or failed.
	using Taken = std::optional<Record>;
	Taken freeing(uint64_t iova, uint64_t len) { return ledger_.take(What::range, iova, len); }
	void freed(uint64_t iova, uint64_t len, const Taken &record);
	void not_freed(uint64_t iova, uint64_t len, const Taken &record);
	void is_mapped(uint64_t iova, uint64_t len);

	// ---- mappings ----
	void mapped(const void *va, uint64_t len, uint32_t dir, uint64_t iova);
	Taken unmapping(uint64_t iova, uint64_t len, bool lazily);
	void unmapped(uint64_t iova, uint64_t len, const Taken &record, bool lazily);
	void not_unmapped(uint64_t iova, uint64_t len, const Taken &record);
	void region_added(const void *va, uint64_t len, uint32_t dir, uint64_t iova);
	Taken removing(const void *va, uint64_t len);
	void removed(const Taken &record);
	void not_removed(const void *va, uint64_t len, int error, const Taken &record);
	// Its translation is gone; its address may be handed out from now on.
	void gone(uint64_t iova) { ledger_.settle(iova); }
	// What no call gave: the poison of a map that failed.
	void bad_address(const char *call, uint64_t len);

	// ---- bounce slots ----
	void slot_mapped(uint64_t iova, uint64_t len, uint32_t dir, const void *va) override;
	void slot_unmapped(uint64_t iova) override;
	void slot_refused(Use use, uint64_t iova, uint64_t off, uint64_t len, uint32_t dir, core::BounceStatus why) override;

	// ---- memory ----
	// Its owner takes it back.
	void memory_goes(const void *va, uint64_t len);
	// Looks whether all that is mapped is there.
	void look_at_memory();

	// ---- the domain's end ----
	void leaked(uint64_t iova, uint64_t len);

	Findings &findings() { return findings_; }
	const Ledger &ledger() const { return ledger_; }
	// What is known of an address, for people: "allocated, 4096 bytes, by ...", and from where; nothing: nothing.
	std::vector<std::string> history(uint64_t iova, uint64_t len = 1) const;

private:
	void report(Finding finding, uint64_t iova, uint64_t len, const std::string &expected,
		    const std::vector<std::string> &history);
	void add(const Record &record, std::optional<uint32_t> number);
	void look_at_memory_of(const Record &record);
	std::optional<uint32_t> number_at(uint64_t iova, bool with_regions) const;

	core::Domain &core_;
	core::MappingTable *const mappings_;
	Ledger ledger_;
	Findings findings_;
};

}  // namespace iovad::eal::debug
