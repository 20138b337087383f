// SPDX-License-Identifier: BSD-3-Clause
#include "dma/soft/fault_log.h"

#include <algorithm>

namespace iovad::dma {

const char *fault_reason_name(FaultReason reason)
{
	switch (reason) {
	case FaultReason::none: return "none";
	case FaultReason::not_present: return "not present";
	case FaultReason::no_read: return "no read permission";
	case FaultReason::no_write: return "no write permission";
	case FaultReason::beyond_aperture: return "beyond the aperture";
	case FaultReason::crosses: return "crosses into what is not mapped";
	case FaultReason::split: return "not one piece of memory";
	}
	return "?";
}

void FaultLog::add(Fault fault)
{
	const core::LockGuard guard(lock_);
	fault.number = count() + 1;
	kept_[fault.number % kKept] = fault;
	count_.store(fault.number, std::memory_order_relaxed);
}

std::vector<Fault> FaultLog::last() const
{
	std::vector<Fault> faults;
	faults.reserve(kKept);  // not under the lock
	const core::LockGuard guard(lock_);
	const uint64_t last = count();
	for (uint64_t n = last - std::min<uint64_t>(last, kKept) + 1; n <= last; ++n)
		faults.push_back(kept_[n % kKept]);
	return faults;
}

}  // namespace iovad::dma
