// SPDX-License-Identifier: BSD-3-Clause
// Lazy unmapping. An lcore puts what it is done with into its queue (core/retire_queue.h); the
// control lcore takes from all queues, and only then looks up what each entry is about,
// counts uses down, and removes mappings that nobody uses any more, in runs.
//
//   lcore           put -> queue                     full: the owner helps itself, see put()
//   control lcore          queue -> records -> Held -> Removal: unmap runs, addresses free
//
// Lcores may defer as long as somebody promises to come by (serve()); without that what is
// unmapped lazily is unmapped at once, by the caller.
//
// Several take at once: the control lcore, drain(), owners that help. Each has taken what no
// other has. drain() waits for those that had taken something before it began.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "core/retire_queue.h"
#include "dma/removal.h"

namespace iovad::dma {

class Retirer {
public:
	// inlined: programs put by themselves, by the inlined path.
	Retirer(core::Domain &domain, core::MappingTable &table, core::RetireQueues &queues, Removal &removal,
		bool inlined);
	~Retirer();

	// An entry of this lcore, by the cold path. False: it is the caller's, to unmap at once. So is
	// what is too long for an entry.
	bool put(unsigned lcore, uint64_t iova, uint64_t len);
	// Its queue is emptied, and serves another.
	void release_lcore(unsigned lcore);

	// Until then, in nanoseconds of CLOCK_MONOTONIC, lcores may defer.
	void serve(uint64_t until);

	// One pass, by the control lcore: takes what is in the queues when it comes by, and so is bounded,
	// and removes what has waited for a quarter of the time that it may, with its neighbours. Returns how
	// many mappings are gone.
	unsigned pass(unsigned lcore);
	// Until nothing that was put before is deferred.
	unsigned drain(unsigned lcore);
	// Told of each batch: entries, calls of the backend, bytes. Before anything is put.
	using Watch = std::function<void(unsigned entries, unsigned calls, uint64_t bytes)>;
	void set_watch(Watch watch) { watch_ = std::move(watch); }
	// Taken from a queue by this process's passes, and not unmapped yet. Waits for a pass that goes on.
	bool holds_back(uint64_t iova);
	bool anything_deferred() const { return queues_.deferred().entries != 0; }

private:
	struct Pass;
	class Helping;
	core::RetireQueue *queue_of(unsigned lcore);
	uint64_t granules_of(uint64_t iova, uint64_t len) const;
	bool extend_and_put(core::RetireQueue &queue, uint64_t iova, uint64_t len);
	bool put_shared(uint64_t iova, uint64_t len);
	bool is_served() const;
	unsigned help(unsigned lcore, core::RetireQueue &queue);
	void take_all(unsigned lcore);
	unsigned remove_held(unsigned lcore, uint64_t before);
	// What is not used any more, of entries that were taken.
	struct Resolved {
		std::span<core::MappingRecord *> records;
		uint64_t granules;
	};
	Resolved resolve(std::span<const uint64_t> entries, uint64_t since, std::span<core::MappingRecord *> room);
	unsigned end_uses(std::span<const uint64_t> entries, std::span<core::MappingRecord *> out);
	void removed(const Removal::Removed &removed, size_t entries, uint64_t granules);
	void wait_for_helpers();

	core::Domain &domain_;
	core::MappingTable &table_;
	core::RetireQueues &queues_;
	Removal &removal_;
	const bool inlined_;
	std::atomic<uint64_t> served_until_ = 0;
	std::atomic<bool> told_ = false;  // that nobody serves
	Watch watch_;
	std::atomic<core::RetireQueue *> by_lcore_[core::kMaxLcores] = {};
	core::SpinLock shared_lock_;  // of those that put into the shared queue

	std::mutex pass_mutex_;  // one control pass or drain() at a time
	std::unique_ptr<Pass> pass_;
	uint64_t work_ = 0;      // nanoseconds that passes took which removed something: the recent maximum

	// Owners that help, by the phase in which they began: drain() ends a phase and waits for it.
	core::SpinLock helpers_lock_;
	unsigned phase_ = 0;
	std::atomic<uint32_t> helpers_[2] = {};
};

}  // namespace iovad::dma
