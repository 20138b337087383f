// SPDX-License-Identifier: BSD-3-Clause
// Runs a plan on lcores.
//
// Which order matters
//   - Calls of one cpu of the trace run on one lcore, in the order of the trace.
//   - A free waits until its allocation, perhaps made by another lcore, has published its address.
//   - An allocation does not wait for the free that made its address available in the trace: the
//     addresses here are the allocator's own.
//   - But no lcore runs more than kWindow calls of the trace ahead of the slowest. Otherwise one
//     that only allocates would run to the end while the one that frees has hardly begun; far more
//     would be live at once than in the trace, and a full address space would tell nothing.
//   - Paced, a call also waits for its time in the trace; those that are late wait for nothing.
// No deadlock: of all calls not yet made, the first in the trace waits for none: its allocation, if
// it is a free, was before it, and no lcore is behind it.
//
// What is timed: the call alone. Bookkeeping (ownership, publishing, histograms) comes after the
// clock was read; it costs throughput, not latency, and leaves its traces in the caches.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "measure/histogram.h"
#include "measure/ownership.h"
#include "replay/replay_plan.h"
#include "replay/target.h"

namespace iovad::perf {

enum class FindingKind : uint8_t { overlap, out_of_range, misaligned };
constexpr size_t kFindingKinds = 3;

// A broken promise of the allocator.
struct Finding {
	FindingKind kind;
	uint32_t slot;
	uint32_t other;  // the slot it overlaps
	uint64_t iova;
};

// What became of a slot. Ticks are the TSC's.
struct SlotRecord {
	uint64_t iova = 0;        // 0: the allocation failed, or was never made
	uint64_t alloc_tick = 0;  // when the allocation had returned
	uint64_t free_tick = 0;   // when the free was about to be called; 0: live at the end
	uint16_t worker = 0;      // that allocated it
};

struct RunResult {
	uint64_t begin_tick = 0, end_tick = 0;  // of the first worker to start, of the last to end
	Histogram alloc_ticks, free_ticks;      // calls that succeeded
	uint64_t failed_allocs = 0, failed_frees = 0;
	int first_error = 0;             // what the first of them returned
	uint64_t waited_ticks = 0;       // of all workers together
	double calls_per_busy_tick = 0;  // workers' calls by the time spent in them, summed
	std::array<uint64_t, kFindingKinds> found = {};
	std::vector<Finding> findings;  // the first ones
	std::vector<SlotRecord> slots;
};

class Replay {
public:
	// lcores: EAL's numbers; cpu c of the plan runs on lcores[c mod their number]. The plan must
	// outlive this, and so must the target. paced: no call is made earlier than in the trace.
	Replay(const Plan &plan, const Target &target, const std::vector<unsigned> &lcores, bool paced);
	~Replay();

	// The plan from its beginning to its end, on all lcores, as run_on_lcores().
	RunResult run();

	// Frees what the trace left live, so that the next run finds the same state. Returns how many
	// frees failed.
	uint64_t free_rest();

	uint64_t owned_granules() const { return ownership_.owned_granules(); }

private:
	class Worker;
	static constexpr uint32_t kWindow = 1024;

	uint64_t progress() const;
	void say_where() const;

	const Plan &plan_;
	const Target &target_;
	std::vector<unsigned> lcores_;
	Ownership ownership_;
	// Per slot: 0 until its allocation returned; then its address; kNothing where there is nothing
	// to free, because the allocation failed or the free was made.
	std::vector<std::atomic<uint64_t>> published_;
	std::vector<SlotRecord> records_;
	std::vector<std::unique_ptr<Worker>> workers_;
	const bool paced_;
	uint64_t epoch_tick_ = 0;  // when the trace began, for this run
};

}  // namespace iovad::perf
