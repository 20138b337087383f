// SPDX-License-Identifier: BSD-3-Clause
// The tree, its nodes and its lock: who owns which granules of a domain, exactly. Every
// call takes the lock for one operation, or for a bounded run of them. A plain struct in
// shared memory.
//
// A range is live, as such or as a block, which caches above hand out and may hold; or it
// is reserved (kept out of circulation). Reserved ranges that touch are one range.
//
// To give back the middle of a reserved range may need a node. Where there is none it is
// deferred: the part is free for whoever asks, but stays reserved in the tree, and is
// remembered until there are nodes. Nodes can be added, from outside, at any time.
//
// What is given back may be held back for a while (hold_back()), in the order in which it came: free, but
// not handed out before a refused request asks for it (release_held_back()). So a device that still uses it
// does not meet somebody else's memory.
#pragma once

#include "core/range_tree/range_tree.h"
#include "core/span_list.h"
#include "core/spin_lock.h"

namespace iovad::core {

inline constexpr Value kLive = 1;
inline constexpr Value kReserved = 2;
inline constexpr Value kBlock = 3;
inline constexpr Value kHeldBack = 4;
static_assert(kHeldBack <= kValueMask);

constexpr bool is_live(Value value) { return value == kLive || value == kBlock; }
constexpr bool is_free(Value value) { return value == 0 || value == kHeldBack; }

class AddressSpace {
public:
	// Longest run of operations under one hold of the lock.
	static constexpr unsigned kRun = 32;
	// Of frees: each has other cache lines to wait for, and others wait for the lock.
	static constexpr unsigned kFreeRun = 16;

	struct Totals {
		uint64_t live_ranges, live_granules, reserved_granules, free_granules, largest_gap;
		uint64_t allocs, frees, bad_frees, nodes;
		uint64_t leaves_visited, searches;
		uint64_t grows;           // times that nodes were added
		uint64_t deferred_frees;  // parts of reserved ranges that wait for nodes
	};

	// border: as RangeTree::init().
	void init(void *nodes, uint32_t node_count, Pfn first, Pfn end, Pfn border = 0);

	// From now on the last so many ranges that were given back are held back. places: memory for as many, that
	// stays. Before anything is given back.
	void hold_back(Span *places, uint32_t ranges);
	// All of it. False: there was nothing.
	bool release_held_back();

	// The highest fit; see RangeTree::alloc(). Up to n <= kRun of them; returns how many,
	// and in status why not all. again, not no_space, while something free is deferred.
	// Past the first `wanted` only what lies at or above floor.
	unsigned alloc_run(uint64_t size, uint64_t align, Pfn limit, Value value, Pfn *out, unsigned n,
			   Status &status, unsigned wanted = kRun, Pfn floor = 0);
	// n <= kRun that lie side by side, from the highest place for all of them, the highest first; or
	// none. align: of one, and of its size.
	bool alloc_row(uint64_t size, uint64_t align, Pfn limit, Value value, Pfn *out, unsigned n, Pfn floor = 0);
	// Whether it is sure, without a search, that alloc_run() would find no place.
	bool refuses(uint64_t size, uint64_t align);
	// not_found, and counted, unless exactly this range is live with this value.
	Status free(Pfn start, uint64_t size, Value value);
	// Returns how many of the n <= kFreeRun were that and are free now.
	unsigned free_run(uint64_t size, Value value, const Pfn *starts, unsigned n);

	// exists: a part is live. again: no node. Else [start, end) is reserved.
	Status reserve(Pfn start, Pfn end);
	// not_found: a part is not reserved. again: no node, and too much is deferred already.
	Status unreserve(Pfn start, Pfn end);
	// Whatever of the deferred there are nodes for. Others that give back do it, too.
	void settle();

	// Bytes of nodes that should be added; 0: there are enough.
	size_t nodes_wanted();
	// false: the memory cannot be used; see NodePool::add().
	bool add_nodes(void *memory, size_t bytes);

	// Ranges given back so far. What came back before a call that failed is not counted
	// after it: a failure with the same number before and after is final.
	uint64_t frees() const { return frees_.load(std::memory_order_acquire); }

	uint64_t live();  // granules
	// The most that were live at one moment since the last call of take_most_live().
	uint64_t most_live();
	uint64_t take_most_live();

	Extent find(Pfn pfn);
	// Up to n <= kRun extents from the one in which pfn lies; returns how many there are.
	unsigned find_run(Pfn pfn, Extent *out, unsigned n);
	// The first live range at or above pfn; value 0: there is none.
	Extent next_live(Pfn pfn);
	Totals totals();

	// Other processes use it too, from now on: changes are kept so that what one that dies has half
	// done can be undone.
	void share();

	// Holds the lock; and what a process that died with it left half done is in order again.
	class [[nodiscard]] Guard {
	public:
		// A process that dies at the repair leaves the lock to the next, which repairs.
		explicit Guard(AddressSpace &space) : lock_(space.lock_)
		{
			if (lock_.lock()) [[unlikely]]
				space.repair();
		}
		~Guard() { lock_.unlock(); }
		Guard(const Guard &) = delete;
		Guard &operator=(const Guard &) = delete;

	private:
		SpinLock &lock_;
	};

	// With the lock held.
	bool verify_locked(FILE *why) const;
	Extent find_locked(Pfn pfn) const;

private:
	uint64_t live_locked() const
	{
		return tree_.end() - tree_.first() - tree_.free_granules() - reserved_granules_ - held_back_.granules;
	}
	void keep_back(Pfn start, Pfn end);
	bool holds_back_some_of(Pfn start, Pfn end) const;
	bool release_all();
	void release_oldest();
	void forget_held_back();
	Status free_locked(Pfn start, uint64_t size, Value value);
	void note_taken(unsigned n);
	bool try_unreserve(const Span &span);
	void cut_deferred(const Span &span);
	bool defer(const Span &span);
	bool settle_some();
	bool verify_deferred(FILE *why) const;
	bool verify_held_back(FILE *why) const;
	void repair();
	void count_reserved();

	// [low, high) is to be reserved but for the hole in it, of which nothing is deferred any more. It touches no other
	// reserved range. Kept while that goes on: done again by whoever finds it so, it comes to the same.
	struct Reserving {
		Pfn low, high;
		Span hole;
	};
	void reserve_but(const Reserving &what);
	void apply_reserving();

	SpinLock lock_;
	bool is_reserving_;  // reserving_ is not complete
	Reserving reserving_;
	Journal journal_;
	RangeTree tree_;
	NodePool pool_;
	uint64_t reserved_ranges_, reserved_granules_;
	uint64_t allocs_, bad_frees_;
	uint64_t most_live_;
	std::atomic<uint64_t> frees_;  // written under the lock
	uint64_t grows_;
	uint32_t first_nodes_;  // what init() gave
	SpanList deferred_;     // each lies in a reserved range
	struct {
		Span *places;   // a ring
		uint32_t most;  // 0: nothing is held back
		uint32_t count;
		uint64_t ever, granules;
	} held_back_;
};

}  // namespace iovad::core
