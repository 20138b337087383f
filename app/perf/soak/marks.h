// SPDX-License-Identifier: BSD-3-Clause
// Who owns each granule, as measure/ownership.h, in memory that processes share: of the addresses that a soak
// uses most, all below 4 GiB and the highest. The others are compared when all stand still.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace iovad::perf {

constexpr uint64_t kSoakGranule = 4096, kSoakLast = (uint64_t{1} << 48) - 1;

class Marks {
public:
	// False: part of it is another's.
	bool claim(uint64_t iova, uint64_t len, unsigned owner) noexcept
	{
		bool good = true;
		for_each(iova, len, [&](std::atomic<uint16_t> &mark) {
			good &= mark.exchange(static_cast<uint16_t>(owner + 1), std::memory_order_relaxed) == 0;
		});
		return good;
	}
	// What is still its owner's.
	void release(uint64_t iova, uint64_t len, unsigned owner) noexcept
	{
		for_each(iova, len, [&](std::atomic<uint16_t> &mark) {
			auto mine = static_cast<uint16_t>(owner + 1);
			mark.compare_exchange_strong(mine, 0, std::memory_order_relaxed);
		});
	}

private:
	static constexpr uint64_t kLow = (uint64_t{4} << 30) / kSoakGranule, kHigh = (uint64_t{16} << 30) / kSoakGranule;
	static constexpr uint64_t kFirstHigh = (kSoakLast + 1) / kSoakGranule - kHigh;

	template <class Use> void for_each(uint64_t iova, uint64_t len, Use use)
	{
		const uint64_t begin = iova / kSoakGranule, end = (iova + len - 1) / kSoakGranule + 1;
		for (uint64_t i = begin; i < std::min(end, kLow); i++)
			use(low_[i]);
		for (uint64_t i = std::max(begin, kFirstHigh); i < std::min(end, kFirstHigh + kHigh); i++)
			use(high_[i - kFirstHigh]);
	}

	std::atomic<uint16_t> low_[kLow], high_[kHigh];
};

}  // namespace iovad::perf
