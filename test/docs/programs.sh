#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# programs.sh SOURCE_DIR BUILD_DIR: the blocks of C in a guide are, one after the other, a
# program that builds without a warning, runs, and leaves nothing behind.
set -euo pipefail

SOURCE=$1 BUILD=$2
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"

WORK=$(mktemp -d)
trap 'rm -rf "$WORK" "$TAP_LOG"' EXIT
export RUNTIME_DIRECTORY=${RUNTIME_DIRECTORY:-$WORK/runtime}
mkdir -p "$RUNTIME_DIRECTORY"
read -ra EAL <<<"${IOVAD_TEST_EAL_ARGS:---no-huge -m 256}"
EAL+=(--no-pci --no-telemetry --file-prefix "iovad-guides-$$" -l 0)
read -ra FLAGS <<<"-I$SOURCE/lib/include -L$BUILD/lib -liovad $(pkg-config --cflags --libs libdpdk)"

program_of() { awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' "$SOURCE/doc/$1.md"; }

# DPDK's headers need GNU's extensions with C11.
build() { gcc -std=gnu11 -O2 -Wall -Wextra -Werror "$WORK/$1.c" -o "$WORK/$1" "${FLAGS[@]}"; }

# run GUIDE EAL-ARGUMENTS...
run() { LD_LIBRARY_PATH=$BUILD/lib "$WORK/$1" "${EAL[@]}" "${@:2}"; }

# The lines of output that the guide shows, in their order; addresses differ.
prints_what_it_says() {
	local guide=$1
	awk -v mark='It prints (addresses differ):' '$0 == mark { near = 1 } near && /^```$/ { if (on) exit; on = 1; next } on' \
		"$SOURCE/doc/$guide.md" | sed 's/0x[0-9a-f]*/ADDRESS/g' >"$WORK/expected"
	run "$@" 2>/dev/null | grep -v '^EAL: ' | sed 's/0x[0-9a-f]*/ADDRESS/g' >"$WORK/printed"
	[ -s "$WORK/expected" ] && diff "$WORK/expected" "$WORK/printed"
}

# guide NAME EAL-ARGUMENTS...
guide() {
	program_of "$1" >"$WORK/$1.c"
	check "the program of doc/$1.md builds" build "$1"
	check "it runs" run "$@"
	check "it prints what the guide says" prints_what_it_says "$@"
}

guide linking
guide bounce --vdev net_ring0
done_testing
