// SPDX-License-Identifier: BSD-3-Clause
// main() of the tests of drivers: loads the driver before EAL starts, as EAL does with -d, but from
// wherever it lies.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <dlfcn.h>

#include <gtest/gtest.h>
#include <rte_eal.h>

#include "../eal/eal_setup.h"

int main(int argc, char **argv)
{
	testing::InitGoogleTest(&argc, argv);
	const char *plugin = std::getenv("IOVAD_TEST_PLUGIN");
	if (!plugin || !dlopen(plugin, RTLD_NOW)) {
		std::fprintf(stderr, "IOVAD_TEST_PLUGIN: %s\n", plugin ? dlerror() : "not set");
		return 1;
	}
	if (const int error = test_eal_start(argv[0], TEST_EAL_PRIVATE, nullptr)) {
		std::fprintf(stderr, "EAL does not start: %s\n", std::strerror(-error));
		return 1;
	}
	const int result = RUN_ALL_TESTS();
	rte_eal_cleanup();
	return result;
}
