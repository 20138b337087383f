/* SPDX-License-Identifier: BSD-3-Clause
 * Runs each hot path where a system call or an allocation is fatal; prints TAP. Before, it
 * ran once, so that what is made at first is there. Each has a process of its own, since
 * there is no way back; the first two paths do what is forbidden, and are to be caught.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS, SA_SIGINFO */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "forbid.h"
#include "hot_paths.h"

enum { CLEAN, FAILED, CALLED, ALLOCATED, NO_SECCOMP };

/* Shared with the children, which can say nothing any more. */
static struct {
	int system_call;
	char allocation[32];
} *seen;

static volatile int forbidden;

void forbid_allocation(const char *function)
{
	if (!forbidden)
		return;
	strncpy(seen->allocation, function, sizeof(seen->allocation) - 1);
	_exit(ALLOCATED);
}

static void on_system_call(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	seen->system_call = info->si_syscall;
	_exit(CALLED);
}

/* This thread may end its process, and no more. */
static int forbid_system_calls(void)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
	};
	struct sock_fprog program = {sizeof(rules) / sizeof(*rules), rules};
	struct sigaction action = {.sa_sigaction = on_system_call, .sa_flags = SA_SIGINFO};

	return sigaction(SIGSYS, &action, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int a_system_call(unsigned int n)
{
	(void)n;
	return getppid() == 0;
}

static int an_allocation(unsigned int n)
{
	void *volatile p = malloc(n);

	free(p);
	return 0;
}

static const struct hot_path caught[] = {
	{"a_system_call", a_system_call, 1, 1, NULL, NULL},
	{"an_allocation", an_allocation, 1, 1, NULL, NULL},
};
#define CAUGHT (sizeof(caught) / sizeof(*caught))

static const struct hot_path *path_at(unsigned int index)
{
	return index < CAUGHT ? &caught[index] : &hot_paths()[index - CAUGHT];
}

static int run(unsigned int index)
{
	const struct hot_path *path;

	if (hot_paths_set_up() != 0)
		return FAILED;
	path = path_at(index);
	if (hot_path_round(path) != 0 || hot_path_before(path) != 0)
		return FAILED;
	if (forbid_system_calls() != 0)
		return NO_SECCOMP;
	forbidden = 1;
	return path->run(path->n) != 0 ? FAILED : CLEAN;
}

static int run_alone(unsigned int index)
{
	int status;
	const pid_t child = fork();

	if (child == 0)
		_exit(run(index));
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return FAILED;
	return WEXITSTATUS(status);
}

static void say(int number, const struct hot_path *path, int wanted)
{
	const int got = run_alone((unsigned int)number - 1);

	if (got == NO_SECCOMP) {
		printf("ok %d - %s # SKIP this system has no seccomp filters\n", number, path->name);
		return;
	}
	printf("%sok %d - %s\n", got == wanted ? "" : "not ", number, path->name);
	if (got == CALLED)
		printf("# it made the system call of number %d\n", seen->system_call);
	else if (got == ALLOCATED)
		printf("# it called %s\n", seen->allocation);
	else if (got != CLEAN)
		printf("# it failed\n");
}

int main(void)
{
	const struct hot_path *paths = hot_paths();
	unsigned int n = 0;

	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		return 1;
	while (paths[n].name)
		n++;
	setvbuf(stdout, NULL, _IONBF, 0); /* nothing that children would print again */
	printf("1..%u\n", (unsigned int)CAUGHT + n);
	say(1, &caught[0], CALLED);
	say(2, &caught[1], ALLOCATED);
	for (unsigned int i = 0; i < n; i++)
		say((int)(CAUGHT + i + 1), &paths[i], CLEAN);
	return 0;
}
