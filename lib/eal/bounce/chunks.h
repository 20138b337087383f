// SPDX-License-Identifier: BSD-3-Clause
// The chunks of a bounce pool: how one comes (memory, the user's hook, a translation, slots) and
// how it goes, in the opposite order. A chunk that cannot be unmapped is "leaving": no slot is in
// it, devices may still reach it, so its memory and its place in the window stay until the
// mapper says that it is gone. Where a device does not answer each try takes long: the next comes after
// a pause that doubles, from 10 ms to 1 s, and no other chunk goes meanwhile. One of which somebody has
// mapped a part, as if it were theirs, delays no other; it is tried again after 100 ms.
//
// One thread at a time: the creator or destroyer of the pool, or the control lcore. May block.
#pragma once

#include <utility>
#include <vector>

#include "core/bounce/bounce_slots.h"
#include "core/clock.h"
#include "eal/bounce/memory.h"
#include "eal/domain/handle.h"
#include "iovad/iovad_bounce.h"

namespace iovad::eal {

// What chunks may take of a pass: one comes or goes, and others until the time is over.
class BounceSlice {
public:
	explicit BounceSlice(uint64_t end_ns) : end_ns_(end_ns) {}
	static BounceSlice whole() { return BounceSlice(UINT64_MAX); }

	// Before each chunk: whether it may come, or go.
	bool take() { return !std::exchange(begun_, true) || !is_over(); }
	bool is_over() const { return core::now_ns() >= end_ns_; }

private:
	const uint64_t end_ns_;
	bool begun_ = false;
};

struct BounceHooks {
	iovad_bounce_prepare_t prepare;
	iovad_bounce_release_t release;
	void *opaque;
};

class BounceChunks {
public:
	// name: the pool's, which stays. metadata: gives memory that stays as long as the pool.
	BounceChunks(iovad_domain &domain, core::BounceSlots &slots, DomainMemory &metadata, const char *name,
		     int socket_id, const BounceHooks &hooks);

	unsigned count() const { return slots_.chunks(); }
	static constexpr unsigned kNone = ~0u;
	// An absent chunk that is not leaving; kNone: there is none.
	unsigned highest_absent() const;
	unsigned lowest_absent() const;

	// An absent one comes: serving, or on standby. expected: see BounceMemory.
	struct Refusal {
		int error;  // 0: it is there
		const char *why;
	};
	Refusal bring(unsigned index, core::ChunkState state, uint64_t expected);
	// It goes. False: something in it is mapped, there is no memory to take it out, or a pause; it is as it was.
	bool remove(unsigned index);

	// At the pool's end. All of them are leaving from now on, or none is. False: something is mapped, or a thread
	// is just in a call.
	bool remove_all();

	// Tries again those that are leaving. Returns how many still are.
	size_t settle(BounceSlice &slice);
	// None goes for now.
	bool is_paused() const { return core::now_ns() < retry_at_ns_; }
	void end_pauses();

private:
	struct Leaving {
		unsigned index;
		void *va;
		core::ChunkState state;  // that it had, as it may come back
		bool mapped = true;      // not yet in the mapper's quarantine
		uint64_t busy_until_ns = 0;  // so long it is not tried again
	};

	static constexpr uint64_t kFirstPauseNs = 10 * core::kMillisecond, kLongestPauseNs = 1000 * core::kMillisecond;
	static constexpr uint64_t kBusyNs = 100 * core::kMillisecond;

	void pause();
	bool may_try(const Leaving &chunk) const;
	bool is_usable(unsigned index) const;
	Refusal map(unsigned index, void *va);
	Refusal admit(unsigned index, void *va, core::ChunkState state);
	bool unmap(Leaving &chunk);
	void unmap_or_leave(const Leaving &chunk);
	bool take_out(unsigned index);
	void bring_back(size_t from);
	void give_back(void *va);
	uint64_t iova(unsigned index) const { return slots_.chunk_iova(index); }

	iovad_domain &domain_;
	core::BounceSlots &slots_;
	DomainMemory &metadata_;
	const BounceHooks hooks_;
	BounceMemory memory_;
	void *spare_records_ = nullptr;  // of a chunk that did not come
	std::vector<Leaving> leaving_;   // with room for all
	uint64_t pause_ns_ = 0, retry_at_ns_ = 0;
};

}  // namespace iovad::eal
