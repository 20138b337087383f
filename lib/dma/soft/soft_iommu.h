// SPDX-License-Identifier: BSD-3-Clause
// An IOMMU in software: what devices that are software, such as a virtual NIC, do DMA
// through. It maps, refuses and reports as VFIO's type 1 with a VT-d below it does.
//
//   page_table   address -> memory; read by every translation, lock-free
//   records      what each map() gave: unmap() takes back a run of whole ones, or refuses
//   requesters   devices whose bursts an unmap() waits for
//   fault_log    what devices tried and must not
//
// It has no IOTLB: a walk ends in a leaf after 2 to 5 loads, from the cache of whoever
// walks, and what caches nothing needs no invalidation. A flush is the wait for devices.
//
// Locks: mutex_ guards the records and orders the writers of the page table; the list of
// requesters has its own. Neither is held while the other is taken, so that a device
// inside a burst may map().
#pragma once

#include <map>
#include <memory>

#include "dma/backend.h"
#include "dma/soft/fault_log.h"
#include "dma/soft/page_table.h"
#include "dma/soft/requester.h"

namespace iovad::dma {

struct SoftConfig {
	unsigned address_bits = 48;  // 32 to 57; up to 39 the walk is a level shorter, above 48 longer
	uint64_t page_sizes = uint64_t{1} << 12 | uint64_t{1} << 21 | uint64_t{1} << 30;  // of these
	// What devices cannot address. x86's window for message-signalled interrupts.
	std::vector<Span> reserved = {{0xfee00000, 0xfeefffff}};
	uint64_t max_mappings = 65535;                   // as VFIO
	uint64_t locked_limit = Info::kUnlimited;        // bytes; each mapping is charged, aliases too
	// Of 4 KiB each: what 512 GiB need in the smallest pages. Bounds what a length that
	// was never meant can take.
	uint64_t max_tables = uint64_t{1} << 18;
	std::chrono::microseconds drain_limit{1000000};  // how long unmap() waits for a device
};

struct SoftStats {
	uint64_t mappings, mapped_bytes;
	uint64_t leaves_4k, leaves_2m, leaves_1g;
	uint64_t tables;       // in use
	uint64_t table_bytes;  // memory held for tables, also unused ones
	uint64_t flushes, faults;
};

// Where an access goes; or, without va, why it does not.
struct Translation {
	void *va = nullptr;
	FaultReason reason = FaultReason::none;

	explicit operator bool() const { return va != nullptr; }
};

// The beginning of an access: as much of it as is one piece of memory.
struct Piece {
	void *va = nullptr;
	uint64_t len = 0;
	FaultReason reason = FaultReason::none;

	explicit operator bool() const { return va != nullptr; }
};

class SoftIommu final : public Backend {
public:
	// invalid: the configuration cannot be right. no_memory.
	static Outcome create(const SoftConfig &config, std::unique_ptr<SoftIommu> &out);
	// No device translates any more.
	~SoftIommu() override = default;

	const char *name() const override { return "soft"; }
	Outcome info(Info &out) override;
	// Also invalid: in no valid span; memory at address 0 or beyond 52 bits. Whether there
	// is memory at va is not looked at.
	Outcome map(uint64_t iova, void *va, uint64_t len, uint32_t dir) override;
	// All or nothing, and one flush. not_found: no run of whole mappings; nothing changed.
	// busy: so, but another thread is unmapping some of it. failed: a device does not end its
	// burst; the addresses no longer translate, but each mapping's are taken until another
	// unmap(), of it alone or in a run, succeeds.
	Outcome unmap(uint64_t iova, uint64_t len, uint64_t mapped) override;
	using Backend::unmap;
	// Devices are waited for once.
	Unmapped unmap_runs(std::span<const Backend::Run> runs) override;

	// Where a device's access to len bytes at iova goes. Any thread; takes no lock unless it
	// faults, and then only to report. The memory must be one piece, in however many
	// leaves and mappings. A length of 0 is checked like 1. What it returns is valid while the
	// mapping lives; a caller that cannot know that asks inside a Requester::Burst.
	Translation translate(uint64_t iova, uint64_t len, Access access)
	{
		if (iova <= last_) [[likely]] {
			const soft::Leaf leaf = pages_.find(iova);
			if (leaf.entry.allows(bits(access)) && len <= leaf.left(iova)) [[likely]]
				return {reinterpret_cast<void *>(leaf.va(iova)), FaultReason::none};
		}
		return translate_slow(iova, len, access);
	}
	// The same for what may be several pieces of memory. A fault only if it begins with one.
	Piece translate_some(uint64_t iova, uint64_t len, Access access);

	uint64_t fault_count() const { return faults_.count(); }
	std::vector<Fault> last_faults() const { return faults_.last(); }

	SoftStats stats();
	// Tables in use may be this many; those that are stay. Further ones are no_memory.
	void limit_tables(uint64_t most);
	// Every mapping translates as it should, nothing else does, and all counts agree. Says
	// on `why` (may be null) what does not.
	bool verify(FILE *why);

	Requesters &requesters() { return requesters_; }

	// Every nth call that maps or unmaps fails before it does anything; 0: none. Any thread.
	void fail_every(uint64_t n) { fail_every_.store(n, std::memory_order_relaxed); }
	uint64_t injected() const { return injected_.load(std::memory_order_relaxed); }

private:
	enum class State { live, draining, stuck };
	struct Record {
		uint64_t va, len, access;
		State state;
	};
	using Records = std::map<uint64_t, Record>;  // by iova
	struct Stretch {
		Records::iterator first, last;

		Records::iterator begin() const { return first; }
		Records::iterator end() const { return last; }
		bool empty() const { return first == last; }
	};

	explicit SoftIommu(const SoftConfig &config);

	static uint64_t bits(Access access) { return static_cast<uint64_t>(access); }
	Translation translate_slow(uint64_t iova, uint64_t len, Access access);
	Piece reach(uint64_t iova, uint64_t len, Access access);
	FaultReason fault(uint64_t iova, uint64_t len, Access access, uint64_t at, FaultReason why);

	bool aligned(uint64_t iova, uint64_t len) const;
	bool taken(uint64_t iova, uint64_t len) const;
	bool addressable(uint64_t iova, uint64_t len) const;
	Outcome check(uint64_t iova, uint64_t va, uint64_t len, uint32_t dir) const;
	bool fails_now();
	Outcome install(uint64_t iova, const Record &record);
	Stretch beginning_in(uint64_t iova, uint64_t len);
	static bool is_whole(const Stretch &run, uint64_t iova, uint64_t len, uint64_t mapped);
	Outcome remove(uint64_t iova, uint64_t len, uint64_t mapped);
	void forget(uint64_t iova, uint64_t len, uint64_t mapped);
	void keep_stuck(uint64_t iova, uint64_t len);
	bool verify_record(uint64_t iova, const Record &record) const;

	// What translations read.
	const uint64_t last_;  // highest address of the aperture
	soft::PageTable pages_;

	const SoftConfig config_;
	std::vector<Span> valid_;
	std::mutex mutex_;
	Records records_;
	uint64_t locked_ = 0;   // bytes of all records
	uint64_t cleared_ = 0;  // of these, bytes of records that are not live
	std::atomic<uint64_t> flushes_ = 0;
	std::atomic<uint64_t> fail_every_ = 0, counted_ = 0, injected_ = 0;

	Requesters requesters_;
	FaultLog faults_;
};

}  // namespace iovad::dma
