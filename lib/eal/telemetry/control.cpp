// SPDX-License-Identifier: BSD-3-Clause
// /iovad/control: who makes the passes of the control lcore in this process, and how they go.
#include "eal/control/control.h"
#include "eal/telemetry/telemetry.h"

namespace iovad::eal {

void tell_control(Answer &answer)
{
	const ControlReport r = control_report();
	answer.texts("runners", [&r](auto add) {
		if (r.thread)
			add("thread");
		if (r.service)
			add("service");
		if (r.poll)
			add("poll");
	});
	answer.number("passes", r.passes);
	answer.number("skipped", r.skipped);
	answer.number("items", r.items);
	if (r.passes != 0)
		answer.number("last_pass_age_us", r.last_pass_age_us);
	answer.number("pass_p50_ns", r.pass_p50_ns);
	answer.number("pass_p99_ns", r.pass_p99_ns);
	answer.number("pass_max_ns", r.pass_max_ns);
	answer.number("mapping_ns", r.mapping_ns);
	answer.number("nodes_ns", r.nodes_ns);
	answer.number("trim_ns", r.trim_ns);
	answer.number("bounce_ns", r.bounce_ns);
}

}  // namespace iovad::eal
