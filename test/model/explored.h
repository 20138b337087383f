// SPDX-License-Identifier: BSD-3-Clause
// What a test expects of a scenario, and says of it.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>

#include "machine.h"

namespace iovad::model {

template <class S, class... Arguments> void expect_none_fails(const Bounds &bounds, Arguments... arguments)
{
	const Result r = explore<S>(bounds, arguments...);
	EXPECT_EQ("", r.failure) << r.steps;
	EXPECT_TRUE(r.all) << "more than " << bounds.most << " executions";
	std::printf("             %lu executions: all with at most %u preemptions and %u late loads\n", r.executions,
		    bounds.preemptions, bounds.late_loads);
}

// The defect is planted by the scenario.
template <class S, class... Arguments> void expect_found(const Bounds &bounds, Arguments... arguments)
{
	const Result r = explore<S>(bounds, arguments...);
	EXPECT_NE("", r.failure);
	std::printf("             %lu executions: %s\n", r.executions, r.failure.c_str());
}

}  // namespace iovad::model
