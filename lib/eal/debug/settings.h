// SPDX-License-Identifier: BSD-3-Clause
// The environment variable IOVAD_DEBUG: debug mode for programs that cannot be rebuilt, and how it
// works in those that ask for it. Words, comma-separated; doc/debugging.md is their reference.
#pragma once

#include <cstdint>

namespace iovad::eal::debug {

struct Settings {
	bool on = false;             // in each domain that this process creates
	bool fatal = false;          // abort after the first finding
	uint32_t history = 4096;     // ranges that ended and are remembered, of each domain
	uint32_t quarantine = 1024;  // ranges that were given back and come back late, of each domain

	static constexpr uint32_t kMostHistory = 1u << 20, kMostQuarantine = 1u << 16;

	// 0, or EINVAL, logged.
	int read();
	int apply(const char *text);
};

}  // namespace iovad::eal::debug
