/* SPDX-License-Identifier: BSD-3-Clause
 * EAL for tests, from C and C++.
 *
 * IOVAD_TEST_EAL_ARGS holds arguments for rte_eal_init(), such as a --huge-dir. Where it
 * is not set, the tests do without huge pages, and so without secondary processes.
 */
#ifndef IOVAD_TEST_EAL_SETUP_H
#define IOVAD_TEST_EAL_SETUP_H

#ifdef __cplusplus
extern "C" {
#endif

enum test_eal_role {
	TEST_EAL_PRIVATE,    /* memory of this process alone, which leaves no file behind */
	TEST_EAL_TELEMETRY,  /* the same, with a telemetry socket in RUNTIME_DIRECTORY */
	TEST_EAL_PRIMARY,    /* memory that secondaries can map */
	TEST_EAL_SECONDARY,
};

/* Lcores that EAL starts, the main one included: however few CPUs there are. */
#define TEST_EAL_LCORES 4

/* Whether there is memory that processes can share. */
int test_eal_can_share(void);

/* prefix names what processes share; ignored where memory is private.
 * 0, or a negative errno. */
int test_eal_start(const char *program, enum test_eal_role role, const char *prefix);

#ifdef __cplusplus
}
#endif

#endif /* IOVAD_TEST_EAL_SETUP_H */
