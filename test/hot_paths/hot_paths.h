/* SPDX-License-Identifier: BSD-3-Clause
 * The hot paths, for tests of what they execute instead of how long it takes. Each list of
 * them (api_paths.c, core_paths.cpp) is linked with count.c, which runs them all for
 * callgrind to count, and with forbid.c, where a system call or an allocation is fatal;
 * the core's with step.c, too, which counts what callgrind cannot run.
 */
#ifndef IOVAD_TEST_HOT_PATHS_H
#define IOVAD_TEST_HOT_PATHS_H

#ifdef __cplusplus
extern "C" {
#endif

struct hot_path {
	/* Of run, by which callgrind knows it. */
	const char *name;
	/* n operations; 0 where none failed. Nothing but these is in it. */
	int (*run)(unsigned int n);
	unsigned int n;
	/* How often prepare, run and finish, of which the outer two may be NULL, are made in turn. */
	unsigned int rounds;
	int (*prepare)(unsigned int n);
	int (*finish)(unsigned int n);
};

/* For run: one that is inlined, or cloned for an n, has another name or none. */
#define HOT_PATH_RUN __attribute__((noinline, used))

/* 0, or what went wrong is on stderr. */
int hot_paths_set_up(void);
/* Ends with a name of NULL. Which there are depends on this CPU. */
const struct hot_path *hot_paths(void);

static inline int hot_path_before(const struct hot_path *path)
{
	return path->prepare ? path->prepare(path->n) : 0;
}

static inline int hot_path_after(const struct hot_path *path)
{
	return path->finish ? path->finish(path->n) : 0;
}

static inline int hot_path_round(const struct hot_path *path)
{
	return hot_path_before(path) || path->run(path->n) || hot_path_after(path);
}

#ifdef __cplusplus
}
#endif

#endif /* IOVAD_TEST_HOT_PATHS_H */
