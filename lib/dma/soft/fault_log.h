// SPDX-License-Identifier: BSD-3-Clause
// What devices tried and must not: counted, the last ones kept. Not for the hot path: a
// thread that faults takes a lock for the time of one copy.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/spin_lock.h"

namespace iovad::dma {

// What a device does to memory. The values are bits, as in Direction and in page tables.
enum class Access : uint64_t { read = 1, write = 2, read_write = 3 };

enum class FaultReason {
	none,
	not_present,      // nothing is mapped there
	no_read,          // the mapping is not for reading
	no_write,         // the mapping is not for writing
	beyond_aperture,  // the device cannot have meant an address that high
	crosses,          // it begins in what is mapped, and goes on to what is not
	split,            // all is mapped, but not to one piece of memory: translate_some()
};
const char *fault_reason_name(FaultReason reason);

struct Fault {
	uint64_t number;       // the first is 1
	uint64_t iova, len;    // bytes that were asked for
	uint64_t at;           // the first address that did not translate
	Access access;
	FaultReason reason;
};

class FaultLog {
public:
	static constexpr unsigned kKept = 64;

	// Numbers it.
	void add(Fault fault);
	uint64_t count() const { return count_.load(std::memory_order_relaxed); }
	// The last ones, oldest first, at most kKept.
	std::vector<Fault> last() const;

private:
	mutable core::SpinLock lock_;
	std::atomic<uint64_t> count_ = 0;  // written under the lock
	std::array<Fault, kKept> kept_;    // fault n at n % kKept
};

}  // namespace iovad::dma
