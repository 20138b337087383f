// SPDX-License-Identifier: BSD-3-Clause
// The control lcore as an application's loop has it.
#pragma once

#include <chrono>
#include <functional>

#include <gtest/gtest.h>

#include "iovad/iovad_control.h"

namespace iovad::test {

inline void poll_until(const std::function<bool()> &done)
{
	const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
	while (!done()) {
		ASSERT_LT(std::chrono::steady_clock::now(), give_up);
		iovad_control_poll();
	}
}
inline void poll_for(std::chrono::milliseconds time)
{
	const auto end = std::chrono::steady_clock::now() + time;
	while (std::chrono::steady_clock::now() < end)
		iovad_control_poll();
}

}  // namespace iovad::test
