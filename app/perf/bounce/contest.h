// SPDX-License-Identifier: BSD-3-Clause
// The ways of BounceReport, ready to be timed: two domains, one strict and one lazy, a pool, a region.
#pragma once

#include <cstdint>
#include <memory>

#include <iovad/iovad_bounce.h>

#include "bounce/bounce_report.h"
#include "measure/domain.h"
#include "measure/memory.h"

namespace iovad::perf {

class Contest {
public:
	// For so many lcores at once, and buffers of up to so many bytes. Throws UsageError.
	Contest(bool vfio, size_t lcores, uint64_t most_bytes);
	~Contest();
	Contest(const Contest &) = delete;
	Contest &operator=(const Contest &) = delete;

	// Nanoseconds for each of n buffers, one after the other, on the calling lcore, which is the
	// index-th. Negative: a call failed.
	double time(Way way, size_t index, uint64_t bytes, uint64_t n) const noexcept;
	// Whether the device sees what is bounced, and the caller what the device wrote.
	bool check(uint64_t bytes);
	// What is left, and domains that are not sound. The last call.
	unsigned end();

private:
	struct Pool;

	template <Way kWay> bool use(size_t index, uint64_t bytes) const noexcept;
	template <Way kWay> double loop(size_t index, uint64_t bytes, uint64_t n) const noexcept;

	const uint64_t stride_;
	Memory memory_, region_;
	Domain strict_, lazy_;
	ControlThread control_;
	std::unique_ptr<Pool> pool_;
};

}  // namespace iovad::perf
