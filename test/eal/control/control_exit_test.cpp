// SPDX-License-Identifier: BSD-3-Clause
// Programs that end while the control thread runs.
#include <cstdlib>
#include <cstring>
#include <iterator>

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <rte_eal.h>

#include "../child.h"
#include "eal/domain/registry.h"
#include "iovad/iovad_control.h"

namespace iovad::test {
namespace {

iovad_domain *create()
{
	iovad_domain_conf conf;
	iovad_domain_conf_init(&conf);
	conf.name = "ends";
	conf.backend = IOVAD_BACKEND_SOFT;
	conf.lazy_max_age_us = 100;
	return iovad_domain_create(&conf);
}

// Between two passes: what rte_eal_cleanup() does to one that runs cannot be helped.
int clean_up_between_passes()
{
	const eal::DomainsInUse no_pass;
	return rte_eal_cleanup();
}

int leave() { return 0; }
int clean_up() { return clean_up_between_passes(); }
int destroy_and_clean_up()
{
	const int error = iovad_domain_destroy(iovad_domain_lookup("ends"));
	return error ? error : rte_eal_cleanup();
}
// Long enough for passes after it, if there were any.
int clean_up_and_linger()
{
	const int error = clean_up_between_passes();
	for (int i = 0; i < 100; ++i)
		iovad_control_poll();
	usleep(50'000);
	return error;
}
int clean_up_and_stop()
{
	const int error = clean_up_between_passes();
	return error ? error : iovad_control_thread_stop();
}
int fork_and_leave()
{
	const pid_t child = fork();
	if (child == 0) {
		const int result = iovad_control_thread_stop() == -EALREADY ? 0 : 1;
#ifdef IOVAD_TEST_ASAN
		_exit(result);  // its search for leaks waits for locks of threads that a child has not
#endif
		return result;
	}
	int status = -1;
	waitpid(child, &status, 0);
	return status;
}

const struct Ending {
	const char *name;
	int (*end)();
} kEndings[] = {{"Exit", leave}, {"Cleanup", clean_up}, {"CleanupWithoutDomains", destroy_and_clean_up},
		{"PassesAfterCleanup", clean_up_and_linger}, {"StopAfterCleanup", clean_up_and_stop},
		{"Fork", fork_and_leave}};

class ControlExit : public testing::TestWithParam<Ending> {};

TEST_P(ControlExit, EndsWell)
{
	for (int i = 0; i < 5; ++i)
		ASSERT_EQ(0, run_again(GetParam().name));
}

std::string name_of(const testing::TestParamInfo<Ending> &ending) { return ending.param.name; }

INSTANTIATE_TEST_SUITE_P(, ControlExit, testing::ValuesIn(kEndings), name_of);

int end_as(const char *name)
{
	for (const Ending &ending : kEndings) {
		if (std::strcmp(ending.name, name) == 0)
			return start_small_eal() && create() && iovad_control_thread_start() == 0 ? ending.end() : 1;
	}
	return 2;
}

}  // namespace
}  // namespace iovad::test

int main(int argc, char **argv)
{
	if (argc == 2 && argv[1][0] != '-')
		return iovad::test::end_as(argv[1]);
	testing::InitGoogleTest(&argc, argv);
	return RUN_ALL_TESTS();
}
