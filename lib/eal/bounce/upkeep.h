// SPDX-License-Identifier: BSD-3-Clause
// What the control lcore does for a bounce pool, a bounded step at a time.
//
//   grow       before the free space is used up (a quarter is left), or after a miss: by a quarter
//   shrink     after a second in which at most half was out of the free space: to twice the most that
//              was, or what the pool began with; so that what is left is twice what growing asks for
//   stand by   where the pool may have transient memory: one chunk is ready, for a miss to take
//   transient  such a chunk goes once nothing was mapped in it for a while
//
// All of it in a slice of the pass, at least a chunk: what does not get done is for the next one.
//
// "Out" is what is mapped and what the caches of lcores hold. Chunks come from the window's top down
// and go from its bottom up, as slots are packed at the top; those on standby are at the bottom.
#pragma once

#include <array>
#include <vector>

#include "eal/bounce/chunks.h"
#include "eal/domain/upkeep.h"
#include "eal/log/limit.h"

namespace iovad::eal {

// The most that was out, of the last second.
class BouncePeak {
public:
	void note(uint64_t bytes, uint64_t now_ns);
	// False: it is not watched for that long yet.
	bool known() const { return periods_ >= kPeriods; }
	uint64_t bytes() const;

private:
	static constexpr unsigned kPeriods = 10;
	static constexpr uint64_t kPeriodNs = 100'000'000;

	std::array<uint64_t, kPeriods + 1> peak_ = {};  // the last is of the present period
	uint64_t period_end_ns_ = 0;
	unsigned periods_ = 0;  // over
};

class BounceUpkeep {
public:
	static constexpr unsigned kMostComing = 8, kMostGoing = 8, kMostLooked = 64;  // chunks in a pass, of each kind
	static constexpr uint64_t kQuietNs = 100'000'000;  // that transient memory is unused before it goes
	static constexpr uint64_t kPauseNs = 100'000'000;  // after memory was refused

	// It has its first chunks. name: the pool's, which stays.
	BounceUpkeep(const char *name, core::BounceSlots &slots, BounceChunks &chunks, uint64_t initial_chunks,
		     bool has_standby);

	// Returns how many chunks came or went, and magazines in the slot space.
	unsigned pass(uint64_t now_ns, BounceSlice &slice);
	// More chunks are to come than one pass brings.
	bool is_behind() const { return owed_ != 0; }

	uint64_t initial_chunks() const { return initial_; }
	uint64_t grows() const { return grows_.load(std::memory_order_relaxed); }
	uint64_t shrinks() const { return shrinks_.load(std::memory_order_relaxed); }

private:
	struct Transient {
		unsigned index;
		uint64_t busy_ns;  // seen so last
	};

	uint64_t size() const { return slots_.serving().chunks * core::kChunkBytes; }
	// Chunks that stay until they are shrunk away.
	uint64_t lasting() const
	{
		const core::BounceSlots::Serving serving = slots_.serving();
		return serving.chunks - serving.transient;
	}
	void note_transient(uint64_t now);
	unsigned grow(uint64_t now, BounceSlice &slice);
	bool can_come(unsigned index, uint64_t now) const;
	bool bring_one(unsigned index, uint64_t now);
	bool bring(unsigned index, core::ChunkState state, uint64_t expected, uint64_t now);
	bool keep_transient();
	unsigned shrink(uint64_t now, BounceSlice &slice);
	bool may_go(core::ChunkUse use, uint64_t now) const;
	bool remove(unsigned index, core::ChunkUse use, uint64_t now);
	unsigned end_transients(uint64_t now, BounceSlice &slice);
	bool is_quiet(Transient &transient, core::ChunkUse use, uint64_t now) const;
	unsigned stand_by(uint64_t now, BounceSlice &slice);

	const char *const name_;
	core::BounceSlots &slots_;
	BounceChunks &chunks_;
	const uint64_t initial_;
	const bool has_standby_;
	CoreUpkeep core_;
	uint64_t owed_ = 0;     // chunks that are to come
	unsigned standby_ = BounceChunks::kNone;
	std::vector<Transient> transients_;  // with room for all
	BouncePeak peak_;
	unsigned look_from_ = 0;             // where shrinking goes on
	size_t next_transient_ = 0;          // to be looked at
	uint64_t no_memory_before_ns_ = 0, no_reclaim_before_ns_ = 0;
	LogLimit refusals_;
	std::atomic<uint64_t> grows_ = 0, shrinks_ = 0;
};

}  // namespace iovad::eal
