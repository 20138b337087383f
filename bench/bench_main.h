// SPDX-License-Identifier: BSD-3-Clause
// main() of a benchmark whose run() sets up what it needs, registers and runs.
#pragma once

#include <cstdio>
#include <exception>

#include <benchmark/benchmark.h>

namespace iovad::bench {

inline int bench_main(int argc, char **argv, void (*run)())
{
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 1;
	try {
		run();
	} catch (const std::exception &e) {
		std::fprintf(stderr, "%s: %s\n", argv[0], e.what());
		return 1;
	}
	benchmark::Shutdown();
	return 0;
}

}  // namespace iovad::bench
