// SPDX-License-Identifier: BSD-3-Clause
// main() of the tests that need EAL in one process.
#include <cstdio>
#include <cstring>

#include <gtest/gtest.h>
#include <rte_eal.h>

#include "eal_setup.h"

int main(int argc, char **argv)
{
	testing::InitGoogleTest(&argc, argv);
	if (const int error = test_eal_start(argv[0], TEST_EAL_PRIVATE, nullptr)) {
		std::fprintf(stderr, "EAL does not start: %s\n", std::strerror(-error));
		return 1;
	}
	const int result = RUN_ALL_TESTS();
	rte_eal_cleanup();
	return result;
}
