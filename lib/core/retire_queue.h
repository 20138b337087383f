// SPDX-License-Identifier: BSD-3-Clause
// Retire queues: what lcores have unmapped lazily, on its way to the control lcore. A queue
// has one owner, an lcore, which puts; whoever takes, the control lcore or an owner that
// helps, does so in turn, under the queue's lock. The first is for all threads without an
// lcore and for lcores that came too late for one of their own.
//
// Putting is inlined into programs (iovad_hot.h): it compares with one number, the limit,
// and stores the entry and two counts. The limit stands for all reasons to stop:
//
//   the ring         an entry is one granule at least, so that granules up to the room in the
//                    ring cannot overflow it
//   the budget       what is deferred in all queues, and what they may still put, is never
//                    more than the domain allows: owners take from it in chunks (extend()),
//                    and what has been unmapped goes back to it (done())
//   nobody serves    0: the owner comes to the cold path with its next entry
//
// Ages. Entries have no time: reading a clock costs more than all of putting. Instead the
// taker notes, now and then, how many entries there are; what comes later is younger than
// that. So an age is an upper bound, off by the time between two visits, or by what it takes
// until all is gone that was there at one.
#pragma once

#include <atomic>

#include "core/size_class.h"
#include "core/spin_lock.h"

namespace iovad::core {

// Granules in a row that are to be unmapped.
struct Retired {
	Pfn first;
	uint64_t granules;

	static Retired of(uint64_t entry) { return {entry >> 12, (entry & (IOVAD_HOT_LONGEST - 1)) + 1}; }
};

class alignas(64) RetireQueue {
public:
	static constexpr unsigned kEntries = IOVAD_HOT_RETIRED;
	// Granules that an owner puts, at most, before it looks again whether anybody serves.
	static constexpr uint64_t kStep = 128;

	// Whether an entry can say it.
	static bool takes(unsigned shift, uint64_t len) { return len != 0 && (len - 1) >> shift < IOVAD_HOT_LONGEST - 1; }
	// The owner. False: not before the queue was extended.
	bool put(unsigned shift, uint64_t iova, uint64_t len)
	{
		return iovad_hot_put_retired(&hot_, shift, iova, len);
	}
	iovad_hot_retire_queue *hot() { return &hot_; }

	// Up to `most` entries, the oldest first. since: none of them came earlier.
	unsigned take(uint64_t *entries, unsigned most, uint64_t now, uint64_t &since);

	// Entries, and granules in them, ever put.
	uint64_t put() const { return __atomic_load_n(&hot_.put, __ATOMIC_ACQUIRE); }
	uint64_t granules() const { return __atomic_load_n(&hot_.granules, __ATOMIC_RELAXED); }
	// No entry that is still here came earlier; `now` where none is.
	uint64_t oldest(uint64_t now);
	// The same, noting that none is.
	struct Waiting {
		uint64_t entries, oldest;
	};
	Waiting visit(uint64_t now);
	// What an owner that helps has taken, and not done, came no earlier. Where several help with the
	// shared queue it is what one of them has.
	void set_helped_since(uint64_t since) { helped_since_.store(since, std::memory_order_relaxed); }
	uint64_t helped_since() const { return helped_since_.load(std::memory_order_relaxed); }

	// From now on the owner comes to the cold path.
	void close();
	// Whether an entry that nobody has taken speaks of it.
	bool holds(Pfn pfn);

private:
	friend class RetireQueues;

	struct Mark {
		uint64_t put, at;  // later entries came after that time
	};

	iovad_hot_retire_queue hot_;  // first
	SpinLock lock_;               // for what follows, and for setting the limit
	bool owned_;
	uint64_t taken_;              // entries
	uint64_t granted_;            // granules of the budget, ever
	Mark older_, newer_;          // no entry that is here came before the older one
	std::atomic<uint64_t> helped_since_ = UINT64_MAX;
};

class RetireQueues {
public:
	// count: of lcores, at least 0. most: granules that may be deferred at once. max_age: how long,
	// in nanoseconds.
	static size_t bytes(unsigned count);
	static RetireQueues *format(void *memory, unsigned count, uint64_t most, uint64_t max_age = 0);

	RetireQueue &shared() { return queues_[0]; }
	// One without an owner, or null.
	RetireQueue *claim();
	// The owner is gone, and nothing is in it.
	void release(RetireQueue &queue);

	// The owner, with an entry of so many granules to put next, and no other: it may have the last
	// place in the ring. False: no room there, or none in the budget.
	bool extend(RetireQueue &queue, uint64_t granules);

	// Entries whose translations are gone by `now`, and the granules of all of them.
	class Done {
	public:
		static constexpr unsigned kAges = 32;

		Done(uint64_t now, uint64_t granules) : now_(now), granules_(granules) {}
		// since: they came no earlier.
		void add(uint64_t since, unsigned entries = 1);

	private:
		friend class RetireQueues;

		const uint64_t now_, granules_;
		uint64_t entries_ = 0, peak_age_ = 0;
		uint64_t ages_[kAges] = {};
	};
	void done(const Done &done);
	void done(unsigned entries, uint64_t granules, uint64_t since, uint64_t now)
	{
		Done all(now, granules);
		all.add(since, entries);
		done(all);
	}

	template <class Use> void for_each(Use use)
	{
		for (unsigned i = 0; i < count_; ++i)
			use(queues_[i]);
	}

	bool holds(Pfn pfn)
	{
		bool found = false;
		for_each([&](RetireQueue &queue) { found |= queue.holds(pfn); });
		return found;
	}

	uint64_t most() const { return most_; }
	uint64_t max_age() const { return max_age_; }
	// Whether it is time to take: something has waited for an eighth of the time that it may, a
	// queue is half full, or half of the budget is used up.
	bool due(uint64_t now);
	bool scarce() const { return deferred().granules > most_ / 2; }
	struct Deferred {
		uint64_t entries, granules;
	};
	// Of all that was put and is not done. Exact when nothing runs beside the call; else not
	// less than what was put before it and is not done after it, and at most the budget.
	Deferred deferred() const;
	// Notes the peak. Called by the taker, before it takes.
	void note_peak();
	// What the control lcore has taken and not done yet came no earlier than this.
	void set_in_work_since(uint64_t since) { in_work_since_.store(since, std::memory_order_relaxed); }
	// None that is deferred came earlier; `now` where none is.
	uint64_t oldest(uint64_t now);

	// Read by anyone.
	struct Counters {
		std::atomic<uint64_t> peak_granules, peak_age;  // nanoseconds
		std::atomic<uint64_t> flushes, helps, bad_unmaps;
		std::atomic<uint64_t> ages[Done::kAges];  // entries by log2 of their age in microseconds
	};
	Counters counters;
	// Microseconds that so many per mille of all entries waited at most; a power of two.
	uint64_t age_us(unsigned per_mille) const;

private:
	unsigned count_;
	uint64_t most_, chunk_, max_age_;
	std::atomic<uint64_t> left_;  // of the budget
	std::atomic<unsigned> unowned_;
	std::atomic<uint64_t> done_entries_, done_granules_;
	std::atomic<uint64_t> in_work_since_;
	RetireQueue *queues_;
};

}  // namespace iovad::core
