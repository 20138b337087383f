#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# no_atomics.sh LIBIOVAD PROGRAM: what the compiler made of the paths that a hit in an
# lcore's cache takes, inlined into PROGRAM and exported by the library, has no atomic
# read-modify-write, and leaves the function by a miss only. TAP.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"
library=$1 program=$2

code() { objdump -d --no-show-raw-insn --disassemble="$2" "$1" | grep -P '^ +[0-9a-f]+:\t'; }

# xchg with memory is locked without saying so.
atomics() { grep -P '\t(lock |xchg .*\()'; }

# exits FUNCTION: calls, and jumps that go elsewhere.
exits() { grep -P '\t(call|jmp)' | grep -vP "jmp +[0-9a-f]+ <$1(\+0x[0-9a-f]+)?>"; }

hit() {
	local found
	code "$1" "$2" | grep -P '\tret' >/dev/null || { echo "no such function"; return 1; }
	! found=$(code "$1" "$2" | atomics) || { echo "$found"; return 1; }
	! found=$(code "$1" "$2" | exits "$2" | grep -vP '_other@|_slow') || { echo "$found"; return 1; }
}

library_has_some() { objdump -d --no-show-raw-insn "$library" | atomics >/dev/null; }

check "atomics are recognised where there are some" library_has_some
for path in pair_inlined bulk_of_32 lazy_unmap; do
	check "inlined: $path" hit "$program" "$path"
done
for path in iovad_alloc iovad_free iovad_alloc_other iovad_free_other iovad_alloc_bulk iovad_free_bulk iovad_alloc_bulk_other iovad_free_bulk_other iovad_unmap; do
	check "exported: $path" hit "$library" "$path"
done
done_testing
