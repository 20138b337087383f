// SPDX-License-Identifier: BSD-3-Clause
// main() of the tests with real VFIO, and, run as "--peer PREFIX IN OUT", of a secondary
// process of theirs.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <unistd.h>

#include "eal/eal_setup.h"
#include "eal/secondary_peer.h"
#include "machine.h"

std::unique_ptr<iovad::test::IommuTrace> iovad::test::trace;

namespace {

int no_eal(int error)
{
	std::fprintf(stderr, "EAL does not start: %s\n", std::strerror(-error));
	return 1;
}

int secondary(char **argv)
{
	if (const int error = test_eal_start(argv[0], TEST_EAL_SECONDARY, argv[2]))
		return no_eal(error);
	const int result = iovad::test::serve_peer(std::atoi(argv[3]), std::atoi(argv[4]));
	rte_eal_cleanup();
	return result;
}

}  // namespace

int main(int argc, char **argv)
{
	if (argc == 5 && std::strcmp(argv[1], "--peer") == 0)
		return secondary(argv);
	testing::InitGoogleTest(&argc, argv);
	const std::string prefix = "iovad-vfio-" + std::to_string(getpid());
	setenv("IOVAD_TEST_PREFIX", prefix.c_str(), 1);
	const test_eal_role role = test_eal_can_share() ? TEST_EAL_PRIMARY : TEST_EAL_PRIVATE;
	if (role == TEST_EAL_PRIMARY)
		iovad::test::trace = std::make_unique<iovad::test::IommuTrace>();
	if (const int error = test_eal_start(argv[0], role, prefix.c_str()))
		return no_eal(error);
	const std::filesystem::path files = rte_eal_get_runtime_dir();
	const int result = RUN_ALL_TESTS();
	rte_eal_cleanup();
	iovad::test::trace.reset();
	if (files.filename() == prefix) {
		std::error_code ignored;
		std::filesystem::remove_all(files, ignored);
	}
	return result;
}
