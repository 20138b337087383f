// SPDX-License-Identifier: BSD-3-Clause
// The end of mappings: the translation goes, then the address is free, then the record.
// In this order always, so that an address is never handed out before the translation it had is
// gone. Mappings that lie side by side go in one call of the backend. What cannot be removed
// goes to quarantine.
//
// Records come here when lookups do not find them any more, and belong to whoever calls. Any
// thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

#include "core/domain.h"
#include "core/mapping_table.h"
#include "dma/backend.h"
#include "dma/quarantine.h"

namespace iovad::dma {

// What no caller is told: for the log.
enum class Trouble {
	unmap_failed,       // of what was unmapped lazily: it is in quarantine
	still_quarantined,  // after Quarantine::kTriesReported tries
	not_mapped,         // unmapped lazily, and not mapped with that length
	not_served,         // unmapped lazily, and no control lcore has come by: done at once
};
using Report = std::function<void(Trouble, uint64_t iova, uint64_t len, const Outcome &)>;

class Removal {
public:
	Removal(core::Domain &domain, core::MappingTable &table, Backend &backend);

	// Before anything is removed. One that throws is ignored.
	void set_report(Report report) { report_ = std::move(report); }
	// Told of each address before it may be handed out again. Likewise; it must not throw.
	using Gone = std::function<void(uint64_t iova)>;
	void set_gone(Gone gone) { gone_ = std::move(gone); }
	void report(Trouble trouble, uint64_t iova, uint64_t len, const Outcome &o = {}) const noexcept;

	// The translation only. Where it does not go the record, with its address, is in quarantine.
	Outcome uninstall(core::MappingRecord *record);
	// lcore: whose cache gets the address, as in Domain.
	Outcome remove(unsigned lcore, core::MappingRecord *record);
	// By address. Those that are gone come to the front.
	struct Removed {
		unsigned mappings = 0;
		unsigned calls = 0;  // of the backend
	};
	Removed remove(unsigned lcore, std::span<core::MappingRecord *> records);

	// Tries again what is in quarantine and due. Returns how many are gone.
	unsigned retry_due(unsigned lcore, uint64_t now);
	// All of it, also what another thread was just trying. Whether nothing is left there.
	bool retry_all(unsigned lcore);
	// How many mappings are gone, and their addresses and records free, by the time it says so.
	// Acquire pairs with give_back().
	uint64_t given_back() const { return given_back_.load(std::memory_order_acquire); }
	// Not in quarantine, nor being tried again just now: it is gone, and stays so. Waits for an attempt
	// under way, so a report, which may come from there, must not ask.
	bool settled(uint64_t iova)
	{
		std::lock_guard guard(retry_mutex_);
		return !quarantine_.holds(iova);
	}
	// It may be empty because what was in it is just being tried again.
	bool quarantine_empty() const { return quarantine_.empty(); }

private:
	using Records = std::span<core::MappingRecord *>;

	Backend::Run run_of(Records run) const;
	Outcome unmap(core::MappingRecord *record);
	size_t length_of_run(Records records) const;
	size_t remove_runs(Records records, Records all, Removed &removed);
	void remove_each(Records run, const Outcome &why, Records all, Removed &removed);
	void failed(Records records, const Outcome &why);
	void give_back(unsigned lcore, Records gone);
	void free_addresses(unsigned lcore, Records gone);
	size_t length_of_row(Records records) const;
	unsigned retry(unsigned lcore, core::MappingRecord *list);
	void quarantine(core::MappingRecord *record);

	core::Domain &domain_;
	core::MappingTable &table_;
	Backend &backend_;
	Quarantine quarantine_;
	std::mutex retry_mutex_;  // what is being tried again is not in quarantine meanwhile
	Report report_;
	Gone gone_;
	std::atomic<uint64_t> given_back_ = 0;
};

}  // namespace iovad::dma
