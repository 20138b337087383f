// SPDX-License-Identifier: BSD-3-Clause
// A mapper over the software IOMMU, in which calls fail, wait or answer otherwise as a test
// says; and the state of all of it as one value.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <ostream>
#include <vector>

#include "../unit/domain_fixture.h"
#include "../unit/index_tables.h"
#include "dma/faulty.h"
#include "dma/mapper.h"
#include "soft_fixture.h"

namespace iovad::dma {

constexpr uint64_t kNoLimit = ~uint64_t{0}, kLimit32 = 0xffffffff;
constexpr uint64_t kMemory = 0x7f0000000000;  // need not be there

using Call = FaultyBackend::Call;
using When = FaultyBackend::When;

// What only a test changes: where devices reach, and whether memory has to be there.
class TunedBackend final : public Backend {
public:
	explicit TunedBackend(Backend &other) : other_(other) {}

	const char *name() const override { return "tuned"; }
	bool pins_memory() const override { return pins; }
	Outcome info(Info &out) override
	{
		const Outcome o = other_.info(out);
		if (o.ok() && !valid.empty())
			out.valid = valid;
		return o;
	}
	Outcome map(uint64_t iova, void *va, uint64_t len, uint32_t dir) override { return other_.map(iova, va, len, dir); }
	Outcome unmap(uint64_t iova, uint64_t len, uint64_t mapped) override { return other_.unmap(iova, len, mapped); }

	std::vector<Span> valid;
	bool pins = false;

private:
	Backend &other_;
};

struct RigConfig {
	uint64_t last = (uint64_t{1} << 40) - 1, first = k4K, granule = k4K;
	bool cached = true;
	uint32_t records = 256;
	uint64_t max_ranges = 20000;
	Mapper::Policy policy = Mapper::Policy::strict;
	uint64_t most_deferred = 16384;  // granules
	SoftConfig soft = {};
};

// Who owns what, everywhere. Exact in domains without caches.
struct Snapshot {
	std::vector<core::Extent> extents;
	uint64_t free, quarantined, mappings, bytes, leaves[3];
	uint32_t records;

	bool operator==(const Snapshot &o) const
	{
		const auto same = [](const core::Extent &a, const core::Extent &b) {
			return a.start == b.start && a.end == b.end && a.value == b.value;
		};
		return std::equal(extents.begin(), extents.end(), o.extents.begin(), o.extents.end(), same) &&
		       free == o.free && quarantined == o.quarantined && mappings == o.mappings && bytes == o.bytes &&
		       std::equal(leaves, leaves + 3, o.leaves) && records == o.records;
	}
	friend std::ostream &operator<<(std::ostream &out, const Snapshot &s)
	{
		out << s.records << " records, " << s.mappings << " translations of " << s.bytes << " bytes, "
		    << s.quarantined << " quarantined, " << s.free << " granules free;";
		for (const core::Extent &e : s.extents)
			out << " [" << std::hex << e.start << ',' << e.end << std::dec << ") " << e.value;
		return out;
	}
};

class Rig {
public:
	explicit Rig(const RigConfig &config = {})
		: soft(make_soft(config.soft)), faulty(*soft), owned_(domain_config(config)), domain(owned_.domain),
		  memory_(std::aligned_alloc(64, core::MappingTable::bytes(config.records))),
		  table(*core::MappingTable::format(memory_.get(), config.records, domain.geometry())),
		  queues_memory_(std::aligned_alloc(64, core::RetireQueues::bytes(kQueues))),
		  queues(*core::RetireQueues::format(queues_memory_.get(), kQueues, config.most_deferred)),
		  tuned(new TunedBackend(faulty)),
		  mapper(domain, table, queues, config.policy, std::unique_ptr<Backend>(tuned),
			 [this](unsigned n) { return tables(n); })
	{
		EXPECT_TRUE(mapper.refresh().ok());
	}
	~Rig() { EXPECT_TRUE(verify()); }

	Status map(uint64_t va, uint64_t len, uint64_t &iova, uint32_t dir = kBidirectional, uint64_t limit = kNoLimit)
	{
		return mapper.map(0, at(va), len, limit, dir, iova).status;
	}
	// It works: the test's claim. The I/O virtual address.
	uint64_t mapped(uint64_t va, uint64_t len, uint32_t dir = kBidirectional, uint64_t limit = kNoLimit)
	{
		uint64_t iova = 0;
		EXPECT_EQ(Status::ok, map(va, len, iova, dir, limit));
		EXPECT_TRUE(reaches(iova, va, len, dir));
		EXPECT_LE(iova + (len - 1), limit);
		return iova;
	}
	Status unmap(uint64_t iova, uint64_t len) { return mapper.unmap(0, iova, len).status; }
	Status add_region(uint64_t va, uint64_t len, uint64_t &iova, uint32_t dir = kBidirectional, uint64_t limit = kNoLimit)
	{
		return mapper.add_region(at(va), len, limit, dir, iova).status;
	}
	Status remove_region(uint64_t va, uint64_t len) { return mapper.remove_region(at(va), len).status; }

	// Devices find the memory there, and it is one piece.
	bool reaches(uint64_t iova, uint64_t va, uint64_t len, uint32_t dir)
	{
		return soft->translate(iova, len, static_cast<Access>(dir)).va == at(va);
	}
	bool faults(uint64_t iova) { return !soft->translate(iova, 1, Access::read) && !soft->translate(iova, 1, Access::write); }
	// 0: none.
	uint64_t va2iova(uint64_t va, uint64_t len = 1)
	{
		core::Mapping m;
		return table.find_va(va, len, m) ? m.iova + (va - m.va) : 0;
	}
	uint64_t iova2va(uint64_t iova, uint64_t len = 1)
	{
		core::Mapping m;
		return table.find_iova(iova, len, m) ? m.va + (iova - m.iova) : 0;
	}
	uint64_t counted(std::atomic<uint64_t> core::MappingTable::Counters::*which) { return (table.counters.*which).load(); }

	bool verify()
	{
		return domain.verify(stderr) && table.verify(stderr, domain.space()) && soft->verify(stderr);
	}
	Snapshot snapshot()
	{
		const SoftStats s = soft->stats();
		const core::DomainStats d = domain.stats();
		Snapshot out{{}, d.free_granules + d.cached_granules, table.counters.quarantined_bytes.load(), s.mappings,
			     s.mapped_bytes, {s.leaves_4k, s.leaves_2m, s.leaves_1g}, table.live()};
		const core::Geometry &g = domain.geometry();
		for (core::Pfn pfn = g.first; pfn < g.end;) {
			const core::Extent e = domain.space().find(pfn);
			if (e.value != 0 && !domain_cached_)
				out.extents.push_back(e);
			pfn = e.end;
		}
		return out;
	}
	// Everything is as at the beginning.
	void expect_empty()
	{
		EXPECT_EQ(0u, soft->stats().mappings);
		EXPECT_EQ(0u, domain.stats().live_ranges);
		EXPECT_EQ(0u, table.live());
		EXPECT_EQ(0u, table.counters.quarantined_bytes);
		EXPECT_TRUE(verify());
	}

	// The nth request for tables from now gets none, 0: every one does.
	void starve(uint64_t nth) { starve_at_ = nth ? table_requests + nth : 0; }

	std::unique_ptr<SoftIommu> soft;
	FaultyBackend faulty;
	uint64_t table_requests = 0;
	bool no_tables = false;  // none at all

private:
	static constexpr unsigned kQueues = 4;

	core::DomainConfig domain_config(const RigConfig &config)
	{
		core::DomainConfig out = core::OwnedDomain::config(config.last, config.max_ranges);
		out.geometry = core::Geometry::of(config.granule, config.first, config.last);
		out.cached = out.cached && config.cached;
		domain_cached_ = out.cached;
		return out;
	}
	core::PageIndex::Table *tables(unsigned n)
	{
		const std::lock_guard guard(tables_mutex_);
		if (++table_requests == starve_at_ || no_tables)
			return nullptr;
		try {
			return tables_.take(n);
		} catch (const std::bad_alloc &) {
			return nullptr;
		}
	}

	bool domain_cached_ = false;
	uint64_t starve_at_ = 0;
	std::mutex tables_mutex_;
	core::IndexTables tables_;
	core::OwnedDomain owned_;

public:
	core::Domain &domain;

private:
	std::unique_ptr<void, core::FreeDeleter> memory_;

public:
	core::MappingTable &table;

private:
	std::unique_ptr<void, core::FreeDeleter> queues_memory_;

public:
	core::RetireQueues &queues;
	TunedBackend *tuned;  // the mapper's
	Mapper mapper;
};

inline const Outcome kBroken{Status::failed, EIO, "as the test wants it"};

}  // namespace iovad::dma
