// SPDX-License-Identifier: BSD-3-Clause
// The control lcore as a thread of the library's own.
#pragma once

namespace iovad::eal {

// 0 or a negative errno, see iovad_control.h.
int start_control_thread();
int stop_control_thread();
bool control_thread_runs();
// It looks at once, how soon its next pass is due.
void control_thread_hurry();

}  // namespace iovad::eal
