// SPDX-License-Identifier: BSD-3-Clause
// A table of mappings of a test's own: addresses are the test's choice.
#pragma once

#include <gtest/gtest.h>

#include <optional>

#include "core/mapping_table.h"
#include "index_tables.h"
#include "tree_fixture.h"

namespace iovad::core {

inline constexpr uint64_t kPage = 4096, kVa = 0x7f0000000000, k2M = uint64_t{1} << 21;

// With a space, in which verify() looks up what is mapped.
class Tables {
public:
	explicit Tables(uint32_t records = 64)
		: memory_(std::aligned_alloc(64, MappingTable::bytes(records))),
		  nodes_(std::aligned_alloc(64, kNodes * kNodeBytes)),
		  table(*MappingTable::format(memory_.get(), records, kGeometry))
	{
		space.init(nodes_.get(), kNodes, kGeometry.first, kGeometry.end);
	}
	~Tables() { EXPECT_TRUE(table.verify(stderr, space)); }

	MappingRecord *take()
	{
		LockGuard guard(table.lock());
		if (!table.has_tables())
			table.give_tables(tables_.take(64), 64);
		return table.take();
	}
	MappingRecord *add(uint64_t iova, uint64_t va, uint64_t len, uint32_t dir = 3, bool region = false)
	{
		MappingRecord *r = take();
		EXPECT_NE(nullptr, r);
		claim(iova, len);
		LockGuard guard(table.lock());
		r->whole = !region;
		r->region = region;
		table.add(r, {iova, va, len, dir});
		return r;
	}
	MappingRecord *add_region(uint64_t iova, uint64_t va, uint64_t len) { return add(iova, va, len, 3, true); }
	void remove(MappingRecord *r)
	{
		const Mapping m = r->mapping();
		LockGuard guard(table.lock());
		table.remove(r);
		table.give_back(r);
		EXPECT_EQ(Status::ok, space.free(m.iova / kPage, m.len / kPage, kLive));
	}
	std::optional<Mapping> by_iova(uint64_t address, uint64_t len = 1) const
	{
		Mapping m;
		return table.find_iova(address, len, m) ? std::optional(m) : std::nullopt;
	}
	std::optional<Mapping> by_va(uint64_t address, uint64_t len = 1) const
	{
		Mapping m;
		return table.find_va(address, len, m) ? std::optional(m) : std::nullopt;
	}
	// The I/O virtual address, 0: none.
	uint64_t va2iova(uint64_t address, uint64_t len = 1) const
	{
		const auto m = by_va(address, len);
		return m ? m->iova + (address - m->va) : 0;
	}
	bool verify(FILE *why = stderr) { return table.verify(why, space); }

private:
	static constexpr uint32_t kNodes = 4096;
	static constexpr Geometry kGeometry{kPage, 12, 1, uint64_t{1} << 36};

	// Exactly there: the highest fit below its own end.
	void claim(uint64_t iova, uint64_t len)
	{
		Status status;
		Pfn at = 0;
		const Pfn end = (iova + len) / kPage;
		ASSERT_EQ(1u, space.alloc_run(len / kPage, 1, end - 1, kLive, &at, 1, status));
		ASSERT_EQ(iova / kPage, at) << "the test's addresses overlap";
	}

	std::unique_ptr<void, FreeDeleter> memory_, nodes_;
	IndexTables tables_;

public:
	MappingTable &table;
	AddressSpace space;
};

}  // namespace iovad::core
