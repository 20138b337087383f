// SPDX-License-Identifier: BSD-3-Clause
// A bound on lines of one kind, for what the data path or each pass of the control lcore may
// have to say: the first few of an interval are written, the rest are counted, and the count
// is written once the interval is over. Any thread.
#pragma once

#include <cstdint>
#include <utility>

#include "core/spin_lock.h"

namespace iovad::eal {

class LogLimit {
public:
	static constexpr uint64_t kLines = 5;
	static constexpr uint64_t kIntervalNs = 10'000'000'000;

	struct Verdict {
		bool write;         // the line
		uint64_t withheld;  // lines of an interval that is over, to be mentioned before it
	};

	// Somebody has a line to write.
	Verdict ask(uint64_t now_ns)
	{
		core::LockGuard guard(lock_);
		const uint64_t withheld = close(now_ns);
		if (asked_ == 0)
			begin_ns_ = now_ns;
		return {++asked_ <= kLines, withheld};
	}
	// How many lines were withheld, where the interval is over and nobody has said so.
	uint64_t settle(uint64_t now_ns)
	{
		core::LockGuard guard(lock_);
		return close(now_ns);
	}

private:
	uint64_t close(uint64_t now_ns)
	{
		if (asked_ == 0 || now_ns - begin_ns_ < kIntervalNs)
			return 0;
		const uint64_t asked = std::exchange(asked_, 0);
		return asked > kLines ? asked - kLines : 0;
	}

	core::SpinLock lock_;
	uint64_t begin_ns_ = 0, asked_ = 0;
};

}  // namespace iovad::eal
