# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What the scripts tell the user, and how they give up.

say() { printf '%s\n' "$*"; }

step() { printf '\n== %s\n' "$*"; }

# A change to the machine, so that all of them can be found by "machine:".
say_change() { printf 'machine: %s\n' "$*"; }

# die WHAT [WHAT TO DO...]: one line each.
DIE_STATUS=1
die() {
	printf '\nerror: %s\n' "$1" >&2
	shift
	[ $# -eq 0 ] || printf '  %s\n' "$@" >&2
	exit "$DIE_STATUS"
}

# In words: 95 -> "1 min 35 s".
duration() {
	if [ "$1" -ge 60 ]; then
		printf '%d min %d s' $(($1 / 60)) $(($1 % 60))
	else
		printf '%d s' "$1"
	fi
}
