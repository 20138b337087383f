// SPDX-License-Identifier: BSD-3-Clause
// What one thread counts and others read.
#pragma once

#include <atomic>
#include <cstdint>

namespace iovad::loop {

class Counter {
public:
	void add(uint64_t n = 1) { value_.store(get() + n, std::memory_order_relaxed); }
	uint64_t get() const { return value_.load(std::memory_order_relaxed); }

private:
	std::atomic<uint64_t> value_ = 0;
};

}  // namespace iovad::loop
