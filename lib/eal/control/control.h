// SPDX-License-Identifier: BSD-3-Clause
// The control lcore, see iovad_control.h: what a pass does, and how its passes went. Passes
// are made by thread.h, service.h, and iovad_control_poll().
//
// One pass runs at a time, whoever makes it; the lists of domains change between passes only.
#pragma once

#include <cstdint>

namespace iovad::eal {

enum class Runner { thread, service, poll };

// One bounded pass over the domains that this process created. Returns the items reclaimed;
// 0 also where another pass is running. May block.
unsigned control_pass(Runner runner);

// From the begin of one pass to that of the next, for a runner that waits.
uint64_t control_interval_us();
// For one that does not wait: whether that much time has gone by. Reads the TSC and one shared line.
bool control_due();
// There is a new domain, which may be more impatient than the others.
void control_hurry();
// A last pass of one runner: nothing is deferred after it, and, unless another serves on, nothing
// will be before the next one. Waits for the pass that is running.
void control_last_pass(bool served_on);

// Of this process, since its start. Times of passes are rounded up to a power of two, but the longest.
struct ControlReport {
	bool thread;                // it runs
	bool service;               // the service was called in the last 100 ms
	bool poll;                  // iovad_control_poll() was called within the last second
	uint64_t passes, skipped;   // skipped: another one was running
	uint64_t items;             // reclaimed
	uint64_t last_pass_age_us;  // UINT64_MAX: there was none
	uint64_t pass_p50_ns, pass_p99_ns, pass_max_ns;
	uint64_t mapping_ns, nodes_ns, trim_ns, bounce_ns;  // spent in all: on mappings, tree nodes, the depot, bounce pools
};
ControlReport control_report();

}  // namespace iovad::eal
