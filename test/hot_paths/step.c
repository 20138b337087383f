/* SPDX-License-Identifier: BSD-3-Clause
 * What valgrind cannot run, which has no AVX-512: steps through the hot paths whose names end with
 * the words that are named, one instruction at a time, by the processor's trap flag. Prints of each
 * its name and number of operations as count.c does, then the instructions, and how many of them
 * were locked.
 */
#define _GNU_SOURCE /* REG_RIP */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "hot_paths.h"

static volatile unsigned long instructions, locked;

/* Prefixes first; xchg with memory locks without one. */
static int is_locked(const unsigned char *code)
{
	for (;; code++) {
		if (*code == 0xf0)
			return 1;
		if (*code != 0x66 && *code != 0xf2 && *code != 0xf3 && (*code & 0xf0) != 0x40)
			return (*code == 0x86 || *code == 0x87) && code[1] < 0xc0;
	}
}

static void on_step(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	instructions++;
	locked += is_locked((const unsigned char *)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP]);
}

/* 0x100 is the trap flag; the red zone lies below the stack pointer. */
#define SET_TRAP_FLAG(operation)                                                                                   \
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\t" operation "\n\tpopfq\n\tlea 128(%%rsp), %%rsp" ::: \
				 "memory", "cc")

static int step(const struct hot_path *path)
{
	int failed = hot_path_before(path);

	SET_TRAP_FLAG("orq $0x100, (%%rsp)");
	failed |= path->run(path->n);
	SET_TRAP_FLAG("andq $~0x100, (%%rsp)");
	return failed | hot_path_after(path);
}

static int ends_with(const char *name, const char *end)
{
	const size_t all = strlen(name), length = strlen(end);

	return all >= length && strcmp(name + all - length, end) == 0;
}

static int is_named(const char *name, char **ends)
{
	for (; *ends; ends++) {
		if (ends_with(name, *ends))
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	enum { ROUNDS = 3 }; /* a step takes a signal: some 10 us */
	struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};

	if (argc < 2 || sigaction(SIGTRAP, &action, NULL) != 0 || hot_paths_set_up() != 0)
		return 1;
	for (const struct hot_path *path = hot_paths(); path->name; path++) {
		if (!is_named(path->name, argv + 1))
			continue;
		instructions = locked = 0;
		for (unsigned int i = 0; i < ROUNDS; i++) {
			if (step(path) != 0) {
				fprintf(stderr, "%s failed\n", path->name);
				return 1;
			}
		}
		if (instructions == 0) {
			fprintf(stderr, "the trap flag does nothing here: %s is not measured\n", path->name);
			continue;
		}
		printf("%s %u %lu %lu\n", path->name, path->n * ROUNDS, instructions, locked);
	}
	return 0;
}
