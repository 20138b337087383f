// SPDX-License-Identifier: BSD-3-Clause
// Who does DMA through the software IOMMU: a queue of a virtual NIC, say. A translation is
// only as good as the mapping, so a device must not use one after its unmap() has returned.
// Hardware drains what is under way when it invalidates; here
// the device brackets what it does by a Burst, and unmap() waits until every burst that
// may have seen the mapping is over. Two atomic operations per burst, however many
// packets are in it.
//
// A requester counts its turns: odd, it is inside a burst. The drain reads the count by an
// atomic read-modify-write, and so do the beginning and the end of a burst. Of such operations
// on one variable the later sees what came before the earlier: either the burst sees that
// the entries are gone, or the drain sees the burst, and waits for the count to move on.
// It waits for no burst that begins later, so that a busy device does not hold it up.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <vector>

namespace iovad::dma {

class SoftIommu;

// One thread at a time.
class Requester {
public:
	// The IOMMU outlives it. Takes a lock; waits for a drain that is under way.
	explicit Requester(SoftIommu &iommu);
	~Requester();
	Requester(const Requester &) = delete;
	Requester &operator=(const Requester &) = delete;

	// Translations made inside may be used until its end, whoever unmaps meanwhile. Short:
	// unmap() waits for it. Whoever is inside must not unmap. Does not nest.
	class [[nodiscard]] Burst {
	public:
		explicit Burst(Requester &r) : requester_(r) { r.enter(); }
		~Burst() { requester_.leave(); }
		Burst(const Burst &) = delete;
		Burst &operator=(const Burst &) = delete;

	private:
		Requester &requester_;
	};

private:
	friend class Requesters;

	// Acquire pairs with the release in turn(): what that drain removed is not seen.
	void enter() { turns_.fetch_add(1, std::memory_order_acq_rel); }
	// Release pairs with the acquire in turn() and ended(): what the burst did to memory
	// was before what happens to that memory next. Read-modify-write, since a store would hide
	// from the next enter() the release of a turn() during this burst.
	void leave() { turns_.fetch_add(1, std::memory_order_release); }
	uint64_t turn() { return turns_.fetch_add(0, std::memory_order_acq_rel); }
	bool ended(uint64_t turn) const { return turns_.load(std::memory_order_acquire) != turn; }

	SoftIommu &iommu_;
	alignas(64) std::atomic<uint64_t> turns_ = 0;
};

class Requesters {
public:
	void add(Requester *requester);
	void remove(Requester *requester);
	bool empty();

	// Returns when every burst that was under way has ended, or, false, when that takes
	// too long.
	bool drain(std::chrono::microseconds limit);

private:
	std::mutex mutex_;
	std::vector<Requester *> all_;
};

}  // namespace iovad::dma
