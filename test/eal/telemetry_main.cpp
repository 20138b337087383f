// SPDX-License-Identifier: BSD-3-Clause
// main() of the tests that ask over the telemetry socket.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <gtest/gtest.h>
#include <rte_eal.h>

#include "eal_setup.h"

int main(int argc, char **argv)
{
	testing::InitGoogleTest(&argc, argv);
	char folder[] = "/tmp/iovad-telemetry-XXXXXX";
	if (!mkdtemp(folder)) {
		std::perror(folder);
		return 1;
	}
	setenv("RUNTIME_DIRECTORY", folder, 1);
	if (const int error = test_eal_start(argv[0], TEST_EAL_TELEMETRY, nullptr)) {
		std::fprintf(stderr, "EAL does not start: %s\n", std::strerror(-error));
		return 1;
	}
	const int result = RUN_ALL_TESTS();
	rte_eal_cleanup();
	std::filesystem::remove_all(folder);
	return result;
}
