// SPDX-License-Identifier: BSD-3-Clause
// Who made a call, from where, and when. Taken at each call in debug mode, so it is addresses only;
// names are looked up when somebody wants to read it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace iovad::eal::debug {

struct CallSite {
	static constexpr unsigned kFrames = 12;

	uint64_t at_ns;  // of CLOCK_MONOTONIC: the time that the kernel's log has
	uint32_t lcore;
	int thread;      // as gettid(2)
	uint32_t frames;
	void *frame[kFrames];

	static CallSite here();

	// "lcore 3, thread 4711, at 12.345678 s".
	std::string who() const;
	// "function+0x1d in program", or "program+0x123d" for addr2line(1), the innermost first. Without what lies in
	// this library, where it is one by itself.
	std::vector<std::string> where() const;
};

}  // namespace iovad::eal::debug
