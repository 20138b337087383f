// SPDX-License-Identifier: BSD-3-Clause
// One table of the software IOMMU and its entries, laid out as VT-d's second stage has
// them: 512 entries of 8 bytes; bit 0 read, bit 1 write, bits 12 to 51 the address. What
// differs, and why:
// - addresses are virtual ones of this process;
// - bit 9, which hardware ignores, says that the entry leads to a table, not bit 7 and the
//   level that it does not. So an entry speaks for itself: a walk that was overtaken
//   (page_table.h), and no longer knows its level, never takes the user's memory for a table;
// - bits 52 to 61, which hardware ignores, count the used entries of the table that the
//   entry leads to: unmapping knows which tables became empty, and looks at nothing else.
#pragma once

#include <atomic>
#include <cstdint>

namespace iovad::dma::soft {

inline constexpr unsigned kEntryBits = 9;
inline constexpr unsigned kEntries = 1u << kEntryBits;
inline constexpr unsigned kPageShift = 12;
inline constexpr unsigned kLeafLevels = 3;  // 4 KiB, 2 MiB, 1 GiB
inline constexpr uint64_t kAddressEnd = uint64_t{1} << 52;

// log2 of the bytes that one entry covers; level 0 is the last.
constexpr unsigned level_shift(unsigned level) { return kPageShift + kEntryBits * level; }
constexpr uint64_t level_size(unsigned level) { return uint64_t{1} << level_shift(level); }

struct Table;

class Entry {
public:
	static constexpr uint64_t kRead = 1, kWrite = 2, kAccess = kRead | kWrite;

	Entry() = default;
	explicit Entry(uint64_t bits) : bits_(bits) {}
	static Entry leaf(uint64_t va, uint64_t access) { return Entry(va | access); }
	static Entry link(const Table &table, unsigned used)
	{
		return Entry(reinterpret_cast<uintptr_t>(&table) | kAccess | kLink |
			     uint64_t{used} << kUsedShift);
	}

	uint64_t bits() const { return bits_; }
	bool empty() const { return bits_ == 0; }
	bool is_link() const { return (bits_ & kLink) != 0; }
	bool is_leaf() const { return !empty() && !is_link(); }
	// Every one of these kinds of access.
	bool allows(uint64_t access) const { return (bits_ & access) == access; }
	uint64_t access() const { return bits_ & kAccess; }
	uint64_t va() const { return bits_ & kAddress; }
	Table &table() const { return *reinterpret_cast<Table *>(va()); }
	unsigned used() const { return static_cast<unsigned>(bits_ >> kUsedShift & 0x3ff); }

private:
	static constexpr uint64_t kLink = 1u << 9;
	static constexpr uint64_t kAddress = (kAddressEnd - 1) & ~uint64_t{0xfff};
	static constexpr unsigned kUsedShift = 52;

	uint64_t bits_ = 0;
};

struct alignas(4096) Table {
	// Acquire pairs with set(): what the entry leads to is seen complete.
	Entry get(unsigned i) const { return Entry(entry[i].load(std::memory_order_acquire)); }
	void set(unsigned i, Entry e) { entry[i].store(e.bits(), std::memory_order_release); }

	std::atomic<uint64_t> entry[kEntries];
};
static_assert(sizeof(Table) == 4096);

}  // namespace iovad::dma::soft
